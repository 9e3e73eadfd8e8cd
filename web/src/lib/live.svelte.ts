// What changes on the server, as it happens: one stream of server-sent events for all of the page.
// A hidden page holds no connection. One that is lost is taken up again behind the last event that
// arrived, so nothing is missed; when the server no longer has what came then, all is read anew.

import { untrack } from 'svelte';
import { ApiError, send } from './http';
import { router } from './router.svelte';
import { session } from './session.svelte';
import type { Event as Change } from '../generated/api';

// Called with each change, and with nothing when any number of them may have been missed.
type Listener = (change?: Change) => void;

const kSilence = 25_000; // the server says something every ten seconds
const kFirstPause = 500;
const kLongestPause = 15_000;

class Live {
  // "paused" while the page is hidden.
  state = $state<'connecting' | 'live' | 'lost' | 'paused'>('connecting');
  lost_at = $state(0);
  retry_at = $state(0);
  private listeners = new Set<Listener>();
  private last = '';
  private stop?: AbortController;
  private wake?: () => void;

  constructor() {
    document.addEventListener('visibilitychange', () => this.watch());
    addEventListener('online', () => this.retry());
    $effect.root(() => {
      // Derived, or each change of the address would begin a new connection and forget that the one
      // before was lost.
      const project = $derived(router.get('project'));
      $effect(() => {
        void session.token;
        void project;
        this.last = '';
        untrack(() => this.watch());
      });
    });
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  retry(): void {
    this.wake?.();
  }

  private watch(): void {
    this.stop?.abort();
    this.stop = undefined;
    if (!session.token || document.visibilityState !== 'visible') {
      this.state = 'paused';
      return;
    }
    this.state = 'connecting';
    this.stop = new AbortController();
    void this.keep(this.stop.signal);
  }

  private async keep(signal: AbortSignal): Promise<void> {
    let pause = kFirstPause;
    while (!signal.aborted) {
      const began = Date.now();
      try {
        await this.follow(signal);
      } catch (reason) {
        if (signal.aborted || ApiError.of(reason).status === 401) return;
      }
      if (signal.aborted) return;
      if (this.state !== 'lost') this.lost_at = Date.now();
      if (Date.now() - began > kLongestPause) pause = kFirstPause;
      this.state = 'lost';
      this.retry_at = Date.now() + pause;
      await this.rest(pause, signal);
      pause = Math.min(pause * 2, kLongestPause);
    }
  }

  private rest(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      setTimeout(done, ms);
      this.wake = done;
      signal.addEventListener('abort', () => done(), { once: true });
    });
  }

  // Reads one connection to its end. A silent one is given up: its other side may be gone.
  private async follow(signal: AbortSignal): Promise<void> {
    const own = new AbortController();
    const cancel = () => own.abort();
    signal.addEventListener('abort', cancel, { once: true });
    let timer = setTimeout(cancel, kSilence);
    try {
      const headers: Record<string, string> = this.last ? { 'Last-Event-ID': this.last } : {};
      const missed = !this.last && this.state === 'lost';
      const options = { headers, signal: own.signal };
      const response = await send('GET', '/api/v1/events/stream', options);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(cancel, kSilence);
        const parts = (rest + piece.value).split('\n\n');
        rest = parts.pop()!;
        this.state = 'live';
        parts.forEach((part) => this.take(part));
        if (missed) this.tell();
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
    }
  }

  private take(message: string): void {
    let gap = false;
    let data = '';
    for (const line of message.split('\n')) {
      if (line.startsWith('id: ')) this.last = line.slice(4);
      else if (line === 'event: gap') gap = true;
      else if (line.startsWith('data: ')) data = line.slice(6);
    }
    if (gap) this.tell();
    else if (data) this.tell(JSON.parse(data) as Change);
  }

  private tell(change?: Change): void {
    for (const listener of this.listeners) listener(change);
  }
}

export const live = new Live();
