// Places a directed graph in layers, left to right. Layers by longest path, order within a layer by
// the barycentre of the neighbours (Sugiyama, Tagawa and Toda 1981), a few sweeps.

export interface Edge {
  from: string;
  to: string;
}
export interface Placed {
  id: string;
  layer: number;
  row: number;
}

export function layered(ids: string[], edges: Edge[]): Placed[] {
  const known = new Set(ids);
  const kept = without_cycles(
    edges.filter((e) => known.has(e.from) && known.has(e.to) && e.from !== e.to),
  );
  const layer = layers_of(ids, kept);
  const rows: string[][] = [];
  for (const id of ids) (rows[layer.get(id)!] ??= []).push(id);
  for (let i = 0; i < rows.length; i++) rows[i] ??= [];
  const before = neighbours(kept, 'to', 'from');
  const after = neighbours(kept, 'from', 'to');
  for (let sweep = 0; sweep < 6; sweep++) {
    const down = sweep % 2 === 0;
    const order = down ? rows.keys() : [...rows.keys()].reverse();
    for (const i of order) sort_row(rows, i, down ? before : after);
  }
  return rows.flatMap((row, i) => row.map((id, j) => ({ id, layer: i, row: j })));
}

// Leaves out each edge that would close a cycle with those before it: a task that reads back what
// it wrote still stands before that.
function without_cycles(edges: Edge[]): Edge[] {
  const after = new Map<string, string[]>();
  const leads = (from: string, to: string): boolean => {
    const seen = new Set([from]);
    for (const id of seen) {
      if (id === to) return true;
      for (const next of after.get(id) ?? []) seen.add(next);
    }
    return false;
  };
  return edges.filter(({ from, to }) => {
    if (leads(to, from)) return false;
    const list = after.get(from);
    if (list) list.push(to);
    else after.set(from, [to]);
    return true;
  });
}

function layers_of(ids: string[], edges: Edge[]): Map<string, number> {
  const after = neighbours(edges, 'from', 'to');
  const waiting = new Map(ids.map((id) => [id, 0]));
  for (const edge of edges) waiting.set(edge.to, waiting.get(edge.to)! + 1);
  const layer = new Map(ids.map((id) => [id, 0]));
  const ready = ids.filter((id) => waiting.get(id) === 0);
  for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
    for (const to of after.get(next) ?? []) {
      layer.set(to, Math.max(layer.get(to)!, layer.get(next)! + 1));
      waiting.set(to, waiting.get(to)! - 1);
      if (waiting.get(to) === 0) ready.push(to);
    }
  }
  // A source stands just before the first thing that uses it, not at the far left.
  const used_by = new Set(edges.map((e) => e.to));
  for (const id of ids) {
    const uses = (after.get(id) ?? []).map((to) => layer.get(to)!);
    if (!used_by.has(id) && uses.length) layer.set(id, Math.max(0, Math.min(...uses) - 1));
  }
  return layer;
}

function neighbours(
  edges: Edge[],
  key: 'from' | 'to',
  value: 'from' | 'to',
): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const edge of edges) {
    const list = all.get(edge[key]);
    if (list) list.push(edge[value]);
    else all.set(edge[key], [edge[value]]);
  }
  return all;
}

function sort_row(rows: string[][], i: number, near: Map<string, string[]>): void {
  const place = new Map(
    rows.flatMap((row) => row.map((id, j) => [id, (j + 0.5) / row.length] as const)),
  );
  const row = rows[i]!;
  const weight = new Map(
    row.map((id) => {
      const at = (near.get(id) ?? []).map((other) => place.get(other)!);
      return [id, at.length ? at.reduce((a, b) => a + b) / at.length : place.get(id)!] as const;
    }),
  );
  row.sort((a, b) => weight.get(a)! - weight.get(b)!);
}
