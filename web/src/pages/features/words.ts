// Definitions of features in words and links.

import type { FeatureDefinition, FeatureItem } from '../../generated/api';
import { path_of } from '../../lib/router.svelte';

export const kinds: Record<string, string> = {
  entity: 'entity',
  source: 'source',
  view: 'view',
  on_demand: 'on-demand view',
  service: 'service',
};
export const kind_words = (kind: string) => kinds[kind] ?? kind;

export const href_of = (kind: string, name: string) => path_of('features', kind, name);

// The subject of its events, its audit entries and its lineage.
export function ref_of(kind: string, name: string): string {
  const noun = kind === 'on_demand' ? 'view' : kind;
  return `feature_${noun}:${name}`;
}

const record = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};

export const text_in = (definition: Record<string, unknown>, name: string): string => {
  const value = definition[name];
  return typeof value === 'string' ? value : '';
};

export const list_in = (definition: Record<string, unknown>, name: string): string[] => {
  const value = definition[name];
  return Array.isArray(value) ? value.map(String) : [];
};

export const map_in = (definition: Record<string, unknown>, name: string) =>
  Object.entries(record(definition[name]));

export interface FeatureLine {
  name: string;
  type: string;
  expression: string;
  description: string;
}

// What a view computes; what a service is given, by its views.
export function features_of(shown: FeatureDefinition): FeatureLine[] {
  const written = record(shown.definition.features);
  return shown.features.map((feature) => {
    const given = written[feature.name];
    const fields = record(given);
    const own = feature.view === shown.name;
    return {
      name: own ? feature.name : `${feature.view}.${feature.name}`,
      type: feature.type,
      expression: !own ? '' : typeof given === 'string' ? given : text_in(fields, 'expression'),
      description: own ? text_in(fields, 'description') : '',
    };
  });
}

// The names of what an item computes, gives or is keyed by, for a list.
export function gist_of(item: FeatureItem): string {
  const of = item.definition;
  if (item.kind === 'service') return list_in(of, 'features').join(', ');
  const names = { entity: 'keys', source: 'columns' }[item.kind] ?? 'features';
  return map_in(of, names)
    .map(([name]) => name)
    .join(', ');
}

export interface Difference {
  path: string;
  before: string;
  after: string;
}

// What differs between two plans, each with its place: "features.late.expression".
export function differences(before: unknown, after: unknown, path = ''): Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const a = record(before);
  const b = record(after);
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  if (names.length)
    return names.flatMap((name) => differences(a[name], b[name], path ? `${path}.${name}` : name));
  if (Array.isArray(before) && Array.isArray(after))
    return Array.from({ length: Math.max(before.length, after.length) }).flatMap((_, i) =>
      differences(before[i], after[i], `${path}[${name_in(before[i] ?? after[i]) ?? i}]`),
    );
  const text = (value: unknown) =>
    value === undefined ? '–' : typeof value === 'string' ? legible(value) : JSON.stringify(value);
  return [{ path, before: text(before), after: text(after) }];
}

// A plan writes numbers bit by bit, so that none is rounded: "(f64 402e000000000000)" is 15.
function legible(expression: string): string {
  return expression.replaceAll(/\(f64 ([0-9a-f]{16})\)/g, (_, bits: string) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(`0x${bits}`));
    return String(view.getFloat64(0));
  });
}

function name_in(value: unknown): string | undefined {
  const { name } = record(value);
  return typeof name === 'string' ? name : undefined;
}

// A duration of a definition, which the server writes in milliseconds: "600000ms".
export function ms_of(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? /^(\d+)ms$/.exec(value)?.[1] : undefined;
  return ms === undefined ? undefined : Number(ms);
}
