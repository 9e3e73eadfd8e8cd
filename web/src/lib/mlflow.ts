// Tracking, in MLflow's own REST protocol.

import { get, json, send, url_of } from './http';

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
export interface RunPage {
  runs?: Run[];
  next_page_token?: string;
}
export interface Artifact {
  path: string;
  is_dir: boolean;
  file_size?: number;
}
const kMlflow = '/ajax-api/2.0/mlflow';

export const tracking = {
  experiments: () =>
    json<{ experiments?: Experiment[] }>('POST', `${kMlflow}/experiments/search`, {
      json: { max_results: 1000, view_type: 'ACTIVE_ONLY' },
    }).then((a) => a.experiments ?? []),
  runs: (experiment_ids: string[], filter: string, order_by: string[], page_token?: string) =>
    json<RunPage>('POST', `${kMlflow}/runs/search`, {
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
