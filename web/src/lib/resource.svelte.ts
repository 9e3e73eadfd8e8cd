// Data of a page: loaded when what it depends on changes, refreshed while the page is visible.

import { ApiError } from '../api';

export interface ResourceOptions {
  // Asks again after this many milliseconds while the page is visible; 0 never does.
  every?: number | (() => number);
}

export class Resource<T> {
  data = $state.raw<T | undefined>();
  error = $state.raw<ApiError | undefined>();
  // True once the first answer takes longer than a person notices; pages show their skeleton then.
  slow = $state(false);
  refreshed = $state(0);
  private asked = 0;
  private run: (first: boolean) => void = () => {};

  constructor(load: () => Promise<T>, options: ResourceOptions = {}) {
    this.run = (first) => void this.ask(load, first);
    $effect(() => {
      this.run(true);
    });
    $effect(() => {
      const every = typeof options.every === 'function' ? options.every() : (options.every ?? 0);
      if (!every) return;
      const timer = setInterval(() => {
        if (document.visibilityState === 'visible') this.run(false);
      }, every);
      return () => clearInterval(timer);
    });
  }

  reload(): void {
    this.run(true);
  }

  private async ask(load: () => Promise<T>, first: boolean): Promise<void> {
    const turn = ++this.asked;
    const timer = first ? setTimeout(() => (this.slow = turn === this.asked), 150) : undefined;
    try {
      const data = await load();
      if (turn !== this.asked) return;
      this.data = data;
      this.error = undefined;
      this.refreshed = Date.now();
    } catch (reason) {
      if (turn === this.asked) this.error = ApiError.of(reason);
    } finally {
      clearTimeout(timer);
      if (turn === this.asked) this.slow = false;
    }
  }
}

export function resource<T>(load: () => Promise<T>, options?: ResourceOptions): Resource<T> {
  return new Resource(load, options);
}

// The time, advancing once a second; one timer for all "3 min ago" of a page.
class Now {
  ms = $state(Date.now());
  constructor() {
    setInterval(() => {
      if (document.visibilityState === 'visible') this.ms = Date.now();
    }, 1000);
  }
}
export const now = new Now();
