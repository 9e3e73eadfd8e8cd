// The rows of a request on one line, each value in the form that `form` gives it.

import { plain, plural } from '../../lib/format';

export function brief(rows: unknown[], most: number, form = plain): string {
  const first = rows[0];
  if (first === undefined || first === null) return '–';
  const more = rows.length > 1 ? ` and ${plural(rows.length - 1, 'row')} more` : '';
  if (typeof first !== 'object') return form(first) + more;
  const entries = Object.entries(first);
  const single = entries.length === 1;
  const text = entries
    .slice(0, most)
    .map(([k, v]) => (single ? form(v) : `${k} ${form(v)}`))
    .join(', ');
  return text + (entries.length > most ? ', …' : '') + more;
}
