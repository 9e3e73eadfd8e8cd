// The rail, the palette and the "g" keys list the same places.

import type { IconName } from '../kit/Icon.svelte';

export interface Place {
  title: string;
  href: string;
  icon: IconName;
  key: string; // pressed after g
}

export const groups: { title: string; places: Place[] }[] = [
  { title: '', places: [{ title: 'Home', href: '/', icon: 'home', key: 'h' }] },
  {
    title: 'Data',
    places: [
      { title: 'Lake', href: '/lake', icon: 'lake', key: 'l' },
      { title: 'SQL', href: '/sql', icon: 'sql', key: 's' },
      { title: 'Features', href: '/features', icon: 'features', key: 'u' },
    ],
  },
  {
    title: 'Work',
    places: [{ title: 'Pipelines', href: '/pipelines', icon: 'pipelines', key: 'p' }],
  },
  {
    title: 'Models',
    places: [
      { title: 'Runs', href: '/runs', icon: 'runs', key: 'r' },
      { title: 'Models', href: '/models', icon: 'models', key: 'm' },
      { title: 'Endpoints', href: '/endpoints', icon: 'endpoints', key: 'e' },
      { title: 'Releases', href: '/releases', icon: 'releases', key: 't' },
      { title: 'Monitors', href: '/monitors', icon: 'monitors', key: 'o' },
      { title: 'Flags', href: '/flags', icon: 'flags', key: 'f' },
      { title: 'Experiments', href: '/experiments', icon: 'experiments', key: 'x' },
      { title: 'Lineage', href: '/lineage', icon: 'lineage', key: 'i' },
    ],
  },
  { title: '', places: [{ title: 'Admin', href: '/admin', icon: 'admin', key: 'a' }] },
];

export const places = groups.flatMap((group) => group.places);

export function is_at(place: Place, path: string): boolean {
  if (place.href === '/endpoints' && path.startsWith('/predictions')) return true;
  return place.href === '/'
    ? path === '/'
    : path === place.href || path.startsWith(`${place.href}/`);
}
