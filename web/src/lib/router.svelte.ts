// Addresses and pages. The address holds all state that a reload or a colleague should see: the
// path names the object, the query holds tab, filter, sort and range.

import type { Component } from 'svelte';

export type Params = Record<string, string>;
export interface PageProps {
  params: Params;
}
export interface PageRoute {
  pattern: string;
  title: string;
  // Pages without parameters in their address declare no props; all are given them.
  load: () => Promise<{ default: Component<PageProps> | Component<Record<string, never>> }>;
}

// The links that the mlflow client prints are fragments of MLflow's own UI.
function from_mlflow(hash: string): string | null {
  const run = /^#\/experiments\/([^/?]+)\/runs\/([^/?]+)/.exec(hash);
  if (run) return `/runs/${run[1]}/${run[2]}`;
  const experiment = /^#\/experiments\/([^/?]+)/.exec(hash);
  if (experiment) return `/runs/${experiment[1]}`;
  const model = /^#\/models\/([^/?]+)/.exec(hash);
  return model ? `/models/${model[1]}` : null;
}

class Router {
  path = $state('/');
  query = $state.raw(new URLSearchParams());

  constructor() {
    this.read();
    // Comes too when only the fragment changes: a link of mlflow that is opened at an open page.
    addEventListener('popstate', () => this.read());
    document.addEventListener('click', (event) => this.follow(event));
  }

  // Project and time range go along from page to page.
  private with_kept(target: URL): string {
    for (const name of ['project', 'range']) {
      const value = this.get(name);
      if (value && !target.searchParams.has(name)) target.searchParams.set(name, value);
    }
    return target.pathname + target.search;
  }

  private read(): void {
    const moved = from_mlflow(location.hash);
    if (moved) history.replaceState(null, '', moved);
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  // A plain click on a link of ours changes the page without loading it anew.
  private follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = (event.target as Element).closest?.('a');
    if (
      !anchor ||
      anchor.target ||
      anchor.hasAttribute('download') ||
      anchor.origin !== location.origin
    )
      return;
    if (anchor.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    this.go(anchor.pathname + anchor.search);
  }

  go(url: string, replace = false): void {
    const target = new URL(url, location.origin);
    const changed = target.pathname !== this.path;
    const address = changed ? this.with_kept(target) : target.pathname + target.search;
    history[replace ? 'replaceState' : 'pushState'](null, '', address);
    this.read();
    if (changed) document.querySelector('main')?.scrollTo(0, 0);
  }

  get(name: string, fallback = ''): string {
    return this.query.get(name) ?? fallback;
  }

  // The address of this page with parts of the query changed; an empty value leaves its name out.
  address(values: Record<string, string | null>): string {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(values)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    return this.path + (text ? `?${text}` : '');
  }

  set(values: Record<string, string | null>, push = false): void {
    this.go(this.address(values), !push);
  }
}

export const router = new Router();

// The parameters of `path` under the pattern, or null. "{rest+}" takes the rest, slashes included.
export function match(pattern: string, path: string): Params | null {
  const wanted = pattern.split('/').slice(1);
  const given = path.split('/').slice(1);
  const params: Params = {};
  for (const [i, part] of wanted.entries()) {
    if (part.endsWith('+}')) {
      if (i >= given.length) return null;
      params[part.slice(1, -2)] = given.slice(i).map(decodeURIComponent).join('/');
      return params;
    }
    if (given[i] === undefined) return null;
    if (part.startsWith('{')) params[part.slice(1, -1)] = decodeURIComponent(given[i]!);
    else if (part !== given[i]) return null;
  }
  return wanted.length === given.length ? params : null;
}

// Path segments from text, each encoded.
export function path_of(...segments: string[]): string {
  return '/' + segments.map((s) => s.split('/').map(encodeURIComponent).join('/')).join('/');
}
