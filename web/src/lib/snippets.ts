// The commands that do what a page shows, ready to paste in a shell that shell_setup() prepared.

import type { Me } from '../generated/api';

export interface Snippets {
  cli?: string;
  curl?: string;
  python?: string;
  grpc?: string; // in Python too
}

// A text of several lines.
export const code = (...lines: string[]): string => lines.join('\n');

export function shell_quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

// What gives a shell the variables that the commands read, in the project that is shown: to
// administrators the local admin's, to everyone else those of a token of their own.
export function shell_setup(me?: Me): string {
  const project = me && me.project !== 'default' ? shell_quote(me.project) : '';
  if (me && !me.permissions.includes('admin')) {
    const server = `STRATA_URL=${shell_quote(location.origin)} STRATA_TOKEN=YOUR-TOKEN`;
    return `export ${server}${project && ` STRATA_PROJECT=${project}`}`;
  }
  const data = me?.data ? ` --data ${shell_quote(me.data)}` : '';
  return `eval "$(strata env${data}${project && ` --project ${project}`})"`;
}

export function curl(method: string, path: string, body?: unknown): string {
  const lines = [`curl -H "Authorization: Bearer $STRATA_TOKEN"`];
  if (method !== 'GET') lines[0] += ` -X ${method}`;
  if (body !== undefined) {
    lines.push(`-H 'Content-Type: application/json'`, `-d ${shell_quote(JSON.stringify(body))}`);
  }
  lines.push(`"$STRATA_URL${path}"`);
  return lines.join(' \\\n  ');
}

export function python(method: string, path: string, body?: unknown): string {
  const call = body === undefined ? '' : `,\n    json=${to_python(body)}`;
  return [
    'import os, requests',
    '',
    `answer = requests.${method.toLowerCase()}(`,
    `    os.environ["STRATA_URL"] + ${JSON.stringify(path)}${call},`,
    '    headers={"Authorization": "Bearer " + os.environ["STRATA_TOKEN"]})',
    'answer.raise_for_status()',
    'print(answer.json())',
  ].join('\n');
}

export function to_python(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(to_python).join(', ')}]`;
  if (typeof value === 'object') {
    const items = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${to_python(v)}`);
    return `{${items.join(', ')}}`;
  }
  return JSON.stringify(value);
}
