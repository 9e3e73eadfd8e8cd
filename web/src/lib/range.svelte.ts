// The time that pages show, shared by all of them: it stands in the address, and links keep it.

import { router } from './router.svelte';

export const ranges = [
  { id: '', title: 'All time', seconds: 0 },
  { id: '1h', title: 'Last hour', seconds: 3600 },
  { id: '24h', title: 'Last 24 hours', seconds: 86_400 },
  { id: '7d', title: 'Last 7 days', seconds: 7 * 86_400 },
  { id: '30d', title: 'Last 30 days', seconds: 30 * 86_400 },
] as const;

const chosen = () => ranges.find((range) => range.id === router.get('range')) ?? ranges[0];

export const range = {
  get id(): string {
    return chosen().id;
  },
  // Where it begins, in milliseconds since 1970; 0 for all time.
  from(now = Date.now()): number {
    return chosen().seconds ? now - chosen().seconds * 1000 : 0;
  },
};
