// Asking a model, in MLflow's scoring protocol.

import { part, send } from './http';

export interface Answer {
  id: string;
  version: string;
  digest: string;
  body: unknown;
  ms: number;
}
export async function invoke(name: string, json: unknown): Promise<Answer> {
  const began = performance.now();
  const response = await send('POST', `/endpoints/${part(name)}/invocations`, { json });
  const header = (field: string) => response.headers.get(field) ?? '';
  const body = await response.json();
  return {
    id: header('Strata-Prediction-Id'),
    version: header('Strata-Model-Version'),
    digest: header('Strata-Model-Digest'),
    body,
    ms: performance.now() - began,
  };
}
