// Requests to the server: credentials, errors, bodies. What can be asked for is in
// generated/api.ts, made from the server's own document, and in mlflow.ts and scoring.ts for the
// protocols that are others' to define.

import { untrack } from 'svelte';
import { router } from './router.svelte';
import { session } from './session.svelte';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field = '',
    readonly request_id = '',
  ) {
    super(message);
  }

  // The permission for want of which the server refused, where that was the reason.
  get lacking(): string {
    if (this.status !== 403) return '';
    return /(?:include|needs) ([a-z]+(?::[a-z]+)?)\b/.exec(this.message)?.[1] ?? '';
  }

  static of(reason: unknown): ApiError {
    if (reason instanceof ApiError) return reason;
    const text = reason instanceof Error ? reason.message : String(reason);
    return new ApiError(0, 'internal', `This page failed: ${text}`);
  }
}

export interface Options {
  query?: Record<string, string | number | boolean | undefined>;
  json?: unknown;
  body?: Blob;
  type?: string;
  signal?: AbortSignal;
  token?: string;
  headers?: Record<string, string>;
}

export const part = encodeURIComponent;
export const parts = (key: string) => key.split('/').map(part).join('/');

export function url_of(path: string, query: Options['query'] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([k, v]) => [k, String(v)])).toString();
  return text ? `${path}?${text}` : path;
}

// Strata's error form, and MLflow's on its paths.
async function error_of(response: Response): Promise<ApiError> {
  const id = response.headers.get('X-Request-Id') ?? '';
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    const error = body.error ?? body;
    if (typeof error === 'string') return new ApiError(response.status, 'error', error, '', id);
    const code = error.code ?? error.error_code ?? 'error';
    return new ApiError(
      response.status,
      code,
      error.message ?? text,
      error.field ?? '',
      error.request_id ?? id,
    );
  } catch {
    const message = text.trim() || `the server answered ${response.status} ${response.statusText}`;
    return new ApiError(response.status, 'error', message, '', id);
  }
}

// The project that the address names; without one the token's own is meant. Not tracked, or each
// change of the address would ask for all of a page again; a change of project builds it anew.
function of_project(): Record<string, string> {
  const project = untrack(() => router.get('project'));
  return project ? { 'Strata-Project': project } : {};
}

export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = {
    Authorization: `Bearer ${options.token ?? session.token}`,
    ...of_project(),
    ...options.headers,
  };
  let body: BodyInit | undefined = options.body;
  if (options.json !== undefined) {
    body = JSON.stringify(options.json);
    headers['Content-Type'] = 'application/json';
  } else if (options.type) {
    headers['Content-Type'] = options.type;
  }
  let response: Response;
  try {
    response = await fetch(url_of(path, options.query), {
      method,
      headers,
      body,
      signal: options.signal,
    });
  } catch (reason) {
    if (options.signal?.aborted) throw new ApiError(0, 'cancelled', 'The request was cancelled');
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new ApiError(
      0,
      'unreachable',
      `The server does not answer (${why}). Is it running? Retry when it is.`,
    );
  }
  if (response.ok) return response;
  const error = await error_of(response);
  if (response.status === 401 && options.token === undefined) session.sign_out(error.message);
  throw error;
}

export async function json<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

export const get = <T>(path: string, query?: Options['query']) => json<T>('GET', path, { query });

// XMLHttpRequest, since fetch tells nothing of an upload's progress.
export function upload(path: string, file: Blob, progress: (sent: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path);
    request.setRequestHeader('Authorization', `Bearer ${session.token}`);
    for (const [name, value] of Object.entries(of_project())) request.setRequestHeader(name, value);
    request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () =>
      reject(new ApiError(0, 'unreachable', 'The server does not answer; nothing was stored.'));
    request.onload = async () => {
      if (request.status < 300) return resolve();
      const headers = { 'X-Request-Id': request.getResponseHeader('X-Request-Id') ?? '' };
      reject(
        await error_of(new Response(request.responseText, { status: request.status, headers })),
      );
    };
    request.send(file);
  });
}
