// How values look, the same on every page.

const kUnits: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, 'second'],
  [3600, 'minute'],
  [86_400, 'hour'],
  [86_400 * 30, 'day'],
  [86_400 * 365, 'month'],
  [Infinity, 'year'],
];
const kSeconds: Record<string, number> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  month: 86_400 * 30,
  year: 86_400 * 365,
};
const kShort: Record<string, string> = {
  second: 's',
  minute: 'min',
  hour: 'h',
  day: 'd',
  month: 'mo',
  year: 'y',
};

export type TimeValue = string | number | null | undefined;

// A time as the server sends it: RFC 3339, or milliseconds since 1970 where MLflow's protocol says
// so.
export function to_date(value: TimeValue): Date | null {
  if (value === null || value === undefined || value === '' || value === 0) return null;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? null : date;
}

// "3 min ago"; `now` in milliseconds.
export function relative_time(value: TimeValue, now: number): string {
  const date = to_date(value);
  if (!date) return '–';
  const seconds = Math.round((now - date.getTime()) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return 'just now';
  const unit = kUnits.find(([limit]) => size < limit)![1];
  const text = `${Math.floor(size / kSeconds[unit]!)} ${kShort[unit]}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

// A time as a field for times holds it, in the time of this place: 2026-11-17T10:32:00.
export function local_time(value: TimeValue): string {
  const date = to_date(value);
  if (!date) return '';
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

// What such a field holds, as the server reads times.
export function utc_time(local: string): string {
  return to_date(local)?.toISOString() ?? '';
}

export function exact_time(value: TimeValue): string {
  const date = to_date(value);
  if (!date) return 'no time';
  return date.toLocaleString(undefined, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  });
}

// A text that is a time, as RFC 3339 writes it, in the form that all times have.
export function timed(text: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) ? exact_time(text) : text;
}

// "1 m 12 s", "240 ms".
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

// The server tells times in milliseconds: nothing shorter can be said.
export function between(from: TimeValue, to: TimeValue, now: number): string {
  const begin = to_date(from);
  if (!begin) return '–';
  const ms = (to_date(to)?.getTime() ?? now) - begin.getTime();
  return ms < 1 ? '<1 ms' : duration(ms);
}

export function bytes(count: number | null | undefined): string {
  if (count === null || count === undefined) return '–';
  if (count < 1024) return `${count} B`;
  let value = count / 1024;
  for (const unit of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024 || unit === 'TiB')
      return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return `${count} B`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toLocaleString('en-US');
}

// `figures` digits that matter, but all before the point and two behind it: a rounded thousand is
// another number.
function rounded(number: number, figures: number): number {
  const size = Math.abs(number);
  if (size >= 1e15) return number;
  return Number(number.toPrecision(Math.max(figures, Math.trunc(size).toString().length + 2)));
}

// A measured number, without noise; what it is exactly stands in `exact`.
export function measure(value: number | string | null | undefined, figures = 6): string {
  if (value === null || value === undefined || value === '') return '–';
  const number = Number(value);
  if (Number.isNaN(number)) return String(value);
  if (!Number.isFinite(number)) return number > 0 ? '∞' : '−∞';
  const short = Number.isInteger(number) ? number : rounded(number, figures);
  const size = Math.abs(short);
  if (size >= 1e15 || (size < 1e-4 && size > 0)) return String(short);
  return short.toLocaleString('en-US', { maximumFractionDigits: 20 });
}

// An amount of money; one too small for the four digits behind the point is said to be that.
export function cost(amount: number, currency = ''): string {
  const text = amount > 0 && amount < 1e-4 ? '< 0.0001' : amount.toFixed(4);
  return `${amount === 0 ? '0' : text} ${currency}`.trim();
}

// What tells an id apart from its neighbours: a digest's beginning, but the end of an id that
// begins with its time.
export function short_id(id: string): string {
  const bare = id.replace(/^sha256(-parts)?:/, '');
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(bare)) return bare.slice(-12);
  return bare.length > 14 && !bare.includes('/') ? bare.slice(0, 10) : bare;
}

// A value as it was given.
export function exact(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '–');
}

// A value as it was given, its number without digits that say little.
export function plain(value: unknown): string {
  return exact(typeof value === 'number' ? rounded(value, 6) : value);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// A stable colour for a name: the same thing has the same colour on every page.
export function series_color(name: string): string {
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 16777619);
  return `var(--series-${(hash >>> 0) % 7})`;
}
