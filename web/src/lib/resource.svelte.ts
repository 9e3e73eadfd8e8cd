// Data of a page: loaded when what it depends on changes, here or, as the server says, there.

import { ApiError } from './http';
import { live } from './live.svelte';

export interface ResourceOptions {
  // Asks again when something changed whose subject begins with one of these: "model:",
  // "flow_run:01a2...", "lake:raw/".
  on?: string[] | (() => string[]);
  // Asks again after this many milliseconds while the page is visible, for what is counted and not
  // announced: requests, metrics, queries. 0 never does.
  every?: number | (() => number);
}

const now_of = <T>(value: T | (() => T)): T =>
  typeof value === 'function' ? (value as () => T)() : value;

// Changes that come together cause one question.
const kGather = 150;

export class Resource<T> {
  data = $state.raw<T | undefined>();
  error = $state.raw<ApiError | undefined>();
  // True once the first answer takes longer than a person notices; pages show their skeleton then.
  slow = $state(false);
  refreshed = $state(0);
  private asked = 0;
  private asking = false;
  private again = false;
  private due?: ReturnType<typeof setTimeout>;
  private load: () => Promise<T>;

  constructor(load: () => Promise<T>, options: ResourceOptions = {}) {
    this.load = load;
    $effect(() => {
      void this.ask(true);
      return () => clearTimeout(this.due);
    });
    $effect(() => {
      const prefixes = now_of(options.on ?? []);
      if (!prefixes.length) return;
      return live.listen((change) => {
        if (!change || prefixes.some((prefix) => change.subject.startsWith(prefix))) this.renew();
      });
    });
    $effect(() => {
      const every = now_of(options.every ?? 0);
      if (!every) return;
      const timer = setInterval(() => {
        if (document.visibilityState === 'visible') this.renew(0);
      }, every);
      return () => clearInterval(timer);
    });
  }

  reload(): void {
    void this.ask(true);
  }

  // Asks again soon; while an answer is awaited, once it has come. What may not be read will not be
  // allowed by asking.
  private renew(delay = kGather): void {
    if (this.error?.status === 403) return;
    if (this.asking) this.again = true;
    else this.due ??= setTimeout(() => void this.ask(false), delay);
  }

  private async ask(first: boolean): Promise<void> {
    clearTimeout(this.due);
    this.due = undefined;
    const turn = ++this.asked;
    const timer = first ? setTimeout(() => (this.slow = turn === this.asked), 150) : undefined;
    this.asking = true;
    this.again = false;
    try {
      const data = await this.load();
      if (turn !== this.asked) return;
      this.data = data;
      this.error = undefined;
      this.refreshed = Date.now();
    } catch (reason) {
      if (turn === this.asked) this.error = ApiError.of(reason);
    } finally {
      clearTimeout(timer);
      if (turn === this.asked) {
        this.slow = false;
        this.asking = false;
        if (this.again) this.renew();
      }
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
