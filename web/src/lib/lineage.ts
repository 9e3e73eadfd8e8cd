// Where the things of a lineage graph are shown, and how they are called.

import type { LineageEdge, LineageGraph, LineageNode } from '../generated/api';
import type { IconName } from '../kit/Icon.svelte';
import { path_of } from './router.svelte';
import { bytes, plain, plural, short_id, timed } from './format';

export const kind_icons: Record<string, IconName> = {
  object: 'file',
  table: 'sql',
  query: 'code',
  task: 'play',
  flow_run: 'pipelines',
  run: 'runs',
  dataset: 'lake',
  model: 'models',
  endpoint: 'endpoints',
  prediction: 'check',
  commit: 'code',
  logged_model: 'models',
  environment: 'folder',
  external_run: 'play',
  external_dataset: 'lake',
  stream: 'lake',
  feature_view: 'features',
  feature_service: 'features',
};

interface Place {
  kind: string;
  name: string;
  version?: string;
  facts?: Record<string, unknown>;
}

export function page_of(node: Place): string {
  switch (node.kind) {
    case 'object':
      return path_of('lake', node.name);
    case 'table':
      return path_of('sql', 'tables', node.name);
    case 'flow_run':
      return path_of('pipelines', 'runs', node.name);
    case 'task':
      return path_of('pipelines', 'runs', node.name.split(/[/.]/)[0]!);
    case 'run':
      return path_of('runs', '-', node.name);
    case 'model':
      return path_of('models', node.name) + (node.version ? `?version=${node.version}` : '');
    case 'endpoint':
      return path_of('endpoints', node.name);
    case 'prediction':
      return path_of('predictions', node.name);
    case 'stream':
      return path_of('features', 'source', node.name);
    case 'feature_view':
      return path_of('features', plain(node.facts?.kind ?? 'view'), node.name);
    case 'feature_service':
      return path_of('features', 'service', node.name);
    default:
      return `/lineage?ref=${encodeURIComponent(`${node.kind}:${node.name}`)}`;
  }
}

// A reference in few characters: "table main.flights", "commit 6c650a60de".
export function ref_text(ref: string): string {
  const colon = ref.indexOf(':');
  const name = ref.slice(colon + 1).replace(/(sha256(-parts)?:)?[0-9a-f-]{24,}/g, short_id);
  return `${ref.slice(0, colon).replace('_', ' ')} ${name}`;
}

export function title_of(node: LineageNode): string {
  const facts = node.facts ?? {};
  const told = {
    run: facts.name,
    query: facts.statement,
    logged_model: facts.name,
    external_run: facts.job,
  }[node.kind];
  if (typeof told === 'string' && told) return told;
  if (node.kind === 'task') return node.name.slice(node.name.indexOf('/') + 1); // of RUN/STEP
  return /^[0-9a-f-]{24,}$/.test(node.name)
    ? short_id(node.name)
    : node.name.replace(/^main\./, '');
}

// What a kind knows, as text; lists and long values by their size.
export function facts_of(node: LineageNode): { name: string; text: string }[] {
  return Object.entries(node.facts ?? {})
    .filter(([name, value]) => value !== null && !['sql', 'source', 'kind'].includes(name))
    .slice(0, 8)
    .map(([name, value]) => ({ name: name.replaceAll('_', ' '), text: fact_text(name, value) }));
}

function fact_text(name: string, value: unknown): string {
  if (Array.isArray(value)) return plural(value.length, 'entry', 'entries');
  if (name === 'size' && typeof value === 'number') return bytes(value);
  const text = timed(plain(value));
  if (/^(sha256(-parts)?:)?[0-9a-f]{24,}$/.test(text)) return short_id(text);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

export function note_of(node: LineageNode): string {
  const kind = node.kind.replace('_', ' ');
  const digest = /^(sha256(-parts)?:)?[0-9a-f]{12,}$/.test(node.version);
  if (!node.version) return kind;
  return digest
    ? `${kind} · ${short_id(node.version)}`
    : `${kind} · v${node.version.replace(/^v/, '')}`;
}

// Both directions as one graph; the first node is the one asked for.
export function merged(...graphs: LineageGraph[]): LineageGraph {
  const nodes = new Map<string, LineageNode>();
  const edges = new Map<string, LineageEdge>();
  for (const graph of graphs) {
    for (const node of graph.nodes) nodes.set(node.ref, node);
    for (const edge of graph.edges) edges.set(`${edge.from}>${edge.to}>${edge.relation}`, edge);
  }
  return {
    nodes: [...nodes.values()],
    edges: [...edges.values()],
    truncated: graphs.some((g) => g.truncated),
  };
}
