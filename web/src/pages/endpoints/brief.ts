// The rows of a request on one line.

import { measure, plural } from '../../lib/format';

function value_text(value: unknown): string {
  if (typeof value === 'number') return measure(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function brief(rows: unknown[], most: number): string {
  const first = rows[0];
  if (first === undefined || first === null) return '–';
  const more = rows.length > 1 ? ` and ${plural(rows.length - 1, 'row')} more` : '';
  if (typeof first !== 'object') return value_text(first) + more;
  const entries = Object.entries(first);
  const single = entries.length === 1;
  const text = entries
    .slice(0, most)
    .map(([k, v]) => (single ? value_text(v) : `${k} ${value_text(v)}`))
    .join(', ');
  return text + (entries.length > most ? ', …' : '') + more;
}
