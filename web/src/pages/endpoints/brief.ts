// The rows of a request on one line.

import { plain, plural } from '../../lib/format';

export function brief(rows: unknown[], most: number): string {
  const first = rows[0];
  if (first === undefined || first === null) return '–';
  const more = rows.length > 1 ? ` and ${plural(rows.length - 1, 'row')} more` : '';
  if (typeof first !== 'object') return plain(first) + more;
  const entries = Object.entries(first);
  const single = entries.length === 1;
  const text = entries
    .slice(0, most)
    .map(([k, v]) => (single ? plain(v) : `${k} ${plain(v)}`))
    .join(', ');
  return text + (entries.length > most ? ', …' : '') + more;
}
