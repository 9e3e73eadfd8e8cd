// The client of the server's HTTP API: every call that a page makes, typed. One file, so that a
// client generated from /api/openapi.json can take its place.

import { session } from './lib/session.svelte';

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

  static of(reason: unknown): ApiError {
    if (reason instanceof ApiError) return reason;
    const text = reason instanceof Error ? reason.message : String(reason);
    return new ApiError(0, 'internal', `This page failed: ${text}`);
  }
}

interface Options {
  query?: Record<string, string | number | undefined>;
  json?: unknown;
  body?: Blob;
  type?: string;
  signal?: AbortSignal;
  token?: string;
}

const part = encodeURIComponent;
const parts = (key: string) => key.split('/').map(part).join('/');

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

export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = {
    Authorization: `Bearer ${options.token ?? session.token}`,
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

async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

const get = <T>(path: string, query?: Options['query']) => call<T>('GET', path, { query });

// --- identity ---
export interface Me {
  user: string;
  team: string;
  project: string;
  permissions: string[];
}
export interface User {
  id: string;
  name: string;
  team: string;
  role: string;
  disabled: boolean;
  created: string;
}
export interface Token {
  id: string;
  user: string;
  access_key_id: string;
  scope: string;
  created: string;
  expires: string | null;
  revoked: string | null;
}
export interface IssuedToken extends Token {
  token: string;
  secret_access_key: string;
}
export interface AuditEntry {
  sequence: number;
  time: string;
  actor: string;
  action: string;
  target: string;
  detail: unknown;
}

export const identity = {
  me: (token?: string) => call<Me>('GET', '/api/v1/me', { token }),
  users: () => get<{ users: User[] }>('/api/v1/users').then((a) => a.users),
  create_user: (user: { name: string; team: string; role: string }) =>
    call<User>('POST', '/api/v1/users', { json: user }),
  set_disabled: (name: string, disabled: boolean) =>
    call<User>('POST', `/api/v1/users/${part(name)}/${disabled ? 'disable' : 'enable'}`, {
      json: {},
    }),
  tokens: () => get<{ tokens: Token[] }>('/api/v1/tokens').then((a) => a.tokens),
  create_token: (wish: { user: string; scope: string; expires?: string }) =>
    call<IssuedToken>('POST', '/api/v1/tokens', { json: wish }),
  revoke_token: (id: string) => call<unknown>('DELETE', `/api/v1/tokens/${part(id)}`),
  audit: (query: {
    limit?: number;
    before?: number;
    actor?: string;
    action?: string;
    target?: string;
  }) => get<{ entries: AuditEntry[] }>('/api/v1/audit', query).then((a) => a.entries),
};

// --- nodes ---
export interface Node {
  name: string;
  cpu: string;
  cores: number;
  isa: string[];
  memory_bytes: number;
  numa_nodes: number;
  disks: { device: string; holds: string; total_bytes: number; free_bytes: number }[];
  gpus: { name: string }[];
  measured: {
    memory_gb_s: number | null;
    disk_write_gb_s: number | null;
    disk_read_gb_s: number | null;
    fdatasync_p50_us: number | null;
    fdatasync_p99_us: number | null;
    fp32_gflops_per_core: number | null;
    fp64_gflops_per_core: number | null;
    time: string;
  } | null;
  price: { per_hour: number; currency: string } | null;
}
export const nodes = {
  list: () => get<{ nodes: Node[] }>('/api/v1/nodes').then((a) => a.nodes),
};

// --- lake ---
export interface Bucket {
  name: string;
  created: string;
  objects: number;
  bytes: number;
  owner: string;
}
export interface LakeObject {
  key: string;
  size: number;
  etag: string;
  digest: string;
  modified: string;
  content_type: string;
  owner?: string;
}
export interface ObjectPage {
  prefixes: string[];
  objects: LakeObject[];
  cursor: string | null;
}
const kBuckets = '/api/v1/lake/buckets';
const object_path = (bucket: string, key: string) =>
  `${kBuckets}/${part(bucket)}/objects/${parts(key)}`;

export const lake = {
  buckets: () => get<{ buckets: Bucket[] }>(kBuckets).then((a) => a.buckets),
  create_bucket: (name: string) => call<Bucket>('POST', kBuckets, { json: { name } }),
  delete_bucket: (name: string) => call<unknown>('DELETE', `${kBuckets}/${part(name)}`),
  objects: (
    bucket: string,
    query: { prefix?: string; delimiter?: string; cursor?: string; limit?: number },
  ) => get<ObjectPage>(`${kBuckets}/${part(bucket)}/objects`, query),
  path: object_path,
  download: (bucket: string, key: string) => send('GET', object_path(bucket, key)),
  // The first `length` bytes.
  head: async (bucket: string, key: string, length: number): Promise<Blob> => {
    const path = object_path(bucket, key);
    const response = await fetch(path, {
      headers: { Authorization: `Bearer ${session.token}`, Range: `bytes=0-${length - 1}` },
    });
    if (!response.ok) throw await error_of(response);
    return response.blob();
  },
  upload: (bucket: string, key: string, file: Blob, progress: (sent: number) => void) =>
    upload(object_path(bucket, key), file, progress),
  remove: (bucket: string, key: string) => call<unknown>('DELETE', object_path(bucket, key)),
};

// XMLHttpRequest, since fetch tells nothing of an upload's progress.
function upload(path: string, file: Blob, progress: (sent: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path);
    request.setRequestHeader('Authorization', `Bearer ${session.token}`);
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

// --- SQL ---
export interface SqlColumn {
  name: string;
  type: string;
}
export type Cell = string | number | boolean | null | object;
export interface SqlResult {
  columns: SqlColumn[];
  rows: Cell[][];
  row_count: number;
  elapsed_ms: number;
  query_id: string;
  truncated: boolean;
}
export interface SqlTable {
  schema: string;
  name: string;
  kind: string;
  rows: number | null;
  columns: SqlColumn[];
  version: number;
  updated: string | null;
  owner: string;
}
export interface SqlQuery {
  id: string;
  sql: string;
  user: string;
  state: string;
  started: string;
  elapsed_ms?: number;
  rows?: number;
  error?: { code: string; message: string };
  statement?: string;
  progress?: number;
}
export const sql = {
  // `query_id` is the caller's, so that it can cancel a query that has not answered yet.
  run: (text: string, limit: number, query_id?: string) =>
    call<SqlResult>('POST', '/api/v1/sql', { json: { sql: text, limit, query_id } }),
  tables: () => get<{ tables: SqlTable[] }>('/api/v1/sql/tables').then((a) => a.tables),
  queries: (limit: number) =>
    get<{ queries: SqlQuery[] }>('/api/v1/sql/queries', { limit }).then((a) => a.queries),
  cancel: (id: string) => call<unknown>('DELETE', `/api/v1/sql/queries/${part(id)}`),
};

// --- flows ---
export interface FlowSpec {
  parameters: Record<string, { type: string; default?: unknown; description?: string }>;
  steps: Record<
    string,
    { needs?: string[]; command?: string[]; python?: string; [fact: string]: unknown }
  >;
  triggers: Trigger[];
  [fact: string]: unknown;
}
export interface Trigger {
  cron?: string;
  timezone?: string;
  event?: string;
  bucket?: string;
  prefix?: string;
}
export interface Flow {
  name: string;
  description: string;
  version: string;
  number: number;
  owner: string;
  updated: string;
  steps: number;
  triggers: Trigger[];
  next_run: string | null;
  last_run?: FlowRun | null;
  spec?: FlowSpec;
  versions?: { version: string; number: number; created: string; by: string }[];
}
export interface Usage {
  cpu_seconds: number;
  max_rss_bytes: number;
  wall_seconds: number;
}
export interface Attempt {
  number: number;
  state: string;
  created: string | null;
  started: string | null;
  finished: string | null;
  exit_code: number | null;
  ending: string | null;
  message: string;
  usage: Usage | null;
}
export interface RunStep {
  step: string;
  state: string;
  reason: string;
  needs: string[];
  attempts: Attempt[];
  outputs: { name: string; digest: string; size: number }[];
}
export interface FlowRun {
  id: string;
  sequence: number;
  flow: string;
  version: string;
  state: string;
  reason: string;
  cause: string;
  user: string;
  params: Record<string, unknown>;
  created: string;
  started: string | null;
  finished: string | null;
  steps?: RunStep[];
  usage?: Usage;
  cost?: number;
}
export const flows = {
  artifact_path: (id: string, step: string, name: string) =>
    `/api/v1/flow-runs/${part(id)}/artifacts/${part(step)}/${parts(name)}`,
  list: () => get<{ flows: Flow[] }>('/api/v1/flows').then((a) => a.flows),
  get: (name: string) => get<Flow>(`/api/v1/flows/${part(name)}`),
  run: (name: string, params: Record<string, unknown>) =>
    call<FlowRun>('POST', `/api/v1/flows/${part(name)}/runs`, { json: { params } }),
  runs: (query: { flow?: string; limit?: number }) =>
    get<{ runs: FlowRun[] }>('/api/v1/flow-runs', query).then((a) => a.runs),
  run_of: (id: string) => get<FlowRun>(`/api/v1/flow-runs/${part(id)}`),
  cancel: (id: string) =>
    call<unknown>('POST', `/api/v1/flow-runs/${part(id)}/cancel`, { json: {} }),
  // The log as it grows; ends when the attempt does.
  follow: (id: string, step: string, attempt: number | undefined, signal: AbortSignal) =>
    send('GET', `/api/v1/flow-runs/${part(id)}/logs`, {
      query: { step, attempt, follow: 1 },
      signal,
    }),
};

// --- tracking (MLflow REST) ---
export interface Experiment {
  experiment_id: string;
  name: string;
  lifecycle_stage: string;
  creation_time?: number;
  last_update_time?: number;
  tags?: { key: string; value: string }[];
}
export interface Metric {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}
export interface Run {
  info: {
    run_id: string;
    run_name: string;
    experiment_id: string;
    user_id: string;
    status: string;
    start_time: number;
    end_time?: number;
    artifact_uri: string;
    lifecycle_stage: string;
  };
  data: {
    metrics?: Metric[];
    params?: { key: string; value: string }[];
    tags?: { key: string; value: string }[];
  };
  inputs?: {
    dataset_inputs?: { dataset: { name: string; digest: string; source_type: string } }[];
  };
  outputs?: { model_outputs?: { model_id: string }[] };
}
export interface Artifact {
  path: string;
  is_dir: boolean;
  file_size?: number;
}
const kMlflow = '/ajax-api/2.0/mlflow';

export const tracking = {
  experiments: () =>
    call<{ experiments?: Experiment[] }>('POST', `${kMlflow}/experiments/search`, {
      json: { max_results: 1000, view_type: 'ACTIVE_ONLY' },
    }).then((a) => a.experiments ?? []),
  runs: (experiment_ids: string[], filter: string, order_by: string[], page_token?: string) =>
    call<{ runs?: Run[]; next_page_token?: string }>('POST', `${kMlflow}/runs/search`, {
      json: { experiment_ids, filter, order_by, max_results: 200, page_token },
    }),
  run: (run_id: string) => get<{ run: Run }>(`${kMlflow}/runs/get`, { run_id }).then((a) => a.run),
  history: async (run_id: string, metric_key: string): Promise<Metric[]> => {
    const all: Metric[] = [];
    let page_token: string | undefined;
    do {
      const page = await get<{ metrics?: Metric[]; next_page_token?: string }>(
        `${kMlflow}/metrics/get-history`,
        { run_id, metric_key, max_results: 25_000, page_token },
      );
      all.push(...(page.metrics ?? []));
      page_token = page.next_page_token;
    } while (page_token);
    return all;
  },
  artifacts: (run_id: string, path: string) =>
    get<{ root_uri: string; files?: Artifact[] }>(`${kMlflow}/artifacts/list`, {
      run_id,
      path,
    }).then((a) => a.files ?? []),
  artifact_path: (run_uuid: string, path: string) => url_of('/get-artifact', { run_uuid, path }),
  artifact: (run_uuid: string, path: string) =>
    send('GET', '/get-artifact', { query: { run_uuid, path } }),
};

// --- models ---
export interface ModelVersion {
  name: string;
  version: number;
  digest: string;
  package_digest?: string;
  owner: string;
  team?: string;
  description?: string;
  status: string;
  run_id: string;
  created: string;
  aliases: string[];
  metrics?: Record<string, number>;
  tags?: Record<string, string>;
  status_message?: string;
  source?: string;
}
export interface AliasMove {
  alias: string;
  from: number | null;
  to: number | null;
  digest: string;
  actor: string;
  time: string;
}
export interface Model {
  name: string;
  description?: string;
  owner: string;
  team: string;
  created: string;
  updated: string;
  latest_version: number | null;
  aliases: Record<string, number>;
  tags?: Record<string, string>;
  versions?: ModelVersion[];
  alias_history?: AliasMove[];
}
export interface ModelFile {
  path: string;
  size: number;
  sha256: string;
}
export const models = {
  list: () => get<{ models: Model[] }>('/api/v1/models', { limit: 500 }).then((a) => a.models),
  get: (name: string) => get<Model>(`/api/v1/models/${part(name)}`),
  files: (name: string, version: number) =>
    get<{ files: ModelFile[] }>(`/api/v1/models/${part(name)}/versions/${version}/files`).then(
      (a) => a.files,
    ),
  set_alias: (name: string, alias: string, version: number) =>
    call<ModelVersion>('PUT', `/api/v1/models/${part(name)}/aliases/${part(alias)}`, {
      json: { version },
    }),
  delete_alias: (name: string, alias: string) =>
    call<unknown>('DELETE', `/api/v1/models/${part(name)}/aliases/${part(alias)}`),
};

// --- endpoints ---
export interface LiveModel {
  model: string;
  version: string | number;
  digest: string;
  deployment: string;
  flavor: string;
  loaded: string;
  micros_per_row?: number;
}
export interface SignatureField {
  name: string;
  type: string;
  required?: boolean;
  shape?: string;
}
export interface Endpoint {
  name: string;
  model: string;
  owner: string;
  created: string;
  state: string;
  wanted_version?: string | number;
  error: string | null;
  live: LiveModel | null;
  signature: { inputs: SignatureField[]; outputs: SignatureField[] } | null;
  requests?: { answered: number; refused: number; failed: number };
}
export interface PredictionRow {
  row: number;
  inputs: Record<string, unknown>;
  outputs: Record<string, unknown>;
}
export interface Prediction {
  id: string;
  time: string;
  endpoint: string;
  model: string;
  version: string | number;
  digest: string;
  deployment: string;
  latency_us: number;
  status: string | number;
  rows: PredictionRow[];
}
export interface Answer {
  id: string;
  version: string;
  digest: string;
  body: unknown;
  ms: number;
}
const kEndpoints = '/api/v1/endpoints';
export const endpoints = {
  list: () => get<{ endpoints: Endpoint[] }>(kEndpoints).then((a) => a.endpoints),
  get: (name: string) => get<Endpoint>(`${kEndpoints}/${part(name)}`),
  create: (name: string, model: string) =>
    call<Endpoint>('POST', kEndpoints, { json: { name, model } }),
  remove: (name: string) => call<unknown>('DELETE', `${kEndpoints}/${part(name)}`),
  predictions: (name: string, limit: number) =>
    get<{ predictions: Prediction[] }>(`${kEndpoints}/${part(name)}/predictions`, { limit }).then(
      (a) => a.predictions,
    ),
  prediction: (id: string) => get<Prediction>(`/api/v1/predictions/${part(id)}`),
  invoke: async (name: string, json: unknown): Promise<Answer> => {
    const began = performance.now();
    const response = await send('POST', `/endpoints/${part(name)}/invocations`, { json });
    const header = (field: string) => response.headers.get(field) ?? '';
    const body = await response.json();
    const ms = performance.now() - began;
    const digest = header('Strata-Model-Digest');
    return {
      id: header('Strata-Prediction-Id'),
      version: header('Strata-Model-Version'),
      digest,
      body,
      ms,
    };
  },
};

// --- lineage ---
export interface LineageNode {
  ref: string;
  kind: string;
  name: string;
  version: string;
  digest: string;
  owner: string;
  time: string;
  facts: Record<string, unknown>;
}
export interface LineageEdge {
  from: string;
  to: string;
  relation: string;
  time: string;
}
export interface LineageGraph {
  nodes: LineageNode[];
  edges: LineageEdge[];
  truncated: boolean;
}
export const lineage = {
  why: (ref: string) => get<LineageGraph>(`/api/v1/why/${part(ref)}`),
  impact: (ref: string) => get<LineageGraph>('/api/v1/impact', { ref }),
};
