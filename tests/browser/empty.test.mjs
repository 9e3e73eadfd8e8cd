// What stands where nothing is to be shown: the reason, and not another one.

import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { check, launch, open, visit } from './browser.mjs';
import { Server } from './server.mjs';

let server;
let browser;
let page;
before(async () => {
  server = await Server.start({ seed: false });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  await page?.context().close();
});
const main = () => page.getByRole('main');
const mlflow = (path, json) => server.api('POST', `/api/2.0/mlflow/${path}`, json);

async function new_run(experiment) {
  const { experiment_id } = await mlflow('experiments/create', { name: experiment });
  const { run } = await mlflow('runs/create', { experiment_id, start_time: Date.now() });
  return { experiment_id, run_id: run.info.run_id };
}

it('tells a model whose versions were deleted from one that never had any', async () => {
  for (const name of ['was', 'never']) await mlflow('registered-models/create', { name });
  const { experiment_id, run_id } = await new_run('gone');
  const place = `${experiment_id}/${run_id}/artifacts/model/MLmodel`;
  const stored = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${place}`, {
    method: 'PUT',
    headers: { Authorization: `Bearer ${server.token}` },
    body: 'flavors: {lightgbm: {data: model.lgb}}',
  });
  assert.equal(stored.status, 200);
  await mlflow('model-versions/create', { name: 'was', source: `runs:/${run_id}/model`, run_id });
  const version = { name: 'was', version: '1' };
  await server.api('DELETE', '/api/2.0/mlflow/model-versions/delete', version);
  page = await open(browser, server);
  await visit(page, server, '/models/was');
  await main().getByText('All versions of this model were deleted.').waitFor();
  await visit(page, server, '/models/never');
  await main().getByText('This model has no version yet.').waitFor();
  await check(page, 'a model without versions');
});

it('says how the first release and the first features are made', async () => {
  page = await open(browser, server);
  await visit(page, server, '/releases');
  await main().getByText('strata release start ENDPOINT --model').waitFor();
  await check(page, 'no release');
  await visit(page, server, '/features');
  await main().getByText('strata feature apply features.yaml').waitFor();
  await check(page, 'no feature');
  await visit(page, server, '/releases/rel-0000000000');
  await main().getByRole('alert').getByText("there is no release 'rel-0000000000'").waitFor();
  await visit(page, server, '/features/view/nothing');
  await main().getByRole('alert').getByText("there is no view 'nothing'").waitFor();
  await check(page, 'what is not there', /404/);
});

it('leads from a run without files to the model that it logged', async () => {
  const { experiment_id, run_id } = await new_run('fits');
  const { model } = await mlflow('logged-models', {
    experiment_id,
    name: 'net',
    source_run_id: run_id,
  });
  const { model_id } = model.info;
  await mlflow('runs/outputs', { run_id, models: [{ model_id, step: 0 }] });
  page = await open(browser, server);
  await visit(page, server, `/runs/${experiment_id}/${run_id}?tab=artifacts`);
  await main().getByText('This run stored no file beside what it logged as a model').waitFor();
  await main().getByRole('link', { name: model_id }).click();
  await page.getByRole('heading', { name: 'Lineage', level: 1 }).waitFor();
  await check(page, 'the logged model');
});

it('says of a filter that cannot be read only that', async () => {
  const { experiment_id } = await mlflow('experiments/create', { name: 'filtered' });
  page = await open(browser, server);
  await visit(page, server, `/runs/${experiment_id}`);
  await page.getByText('This experiment has no run yet.').waitFor();
  await page.getByLabel('Filter runs').fill('metrics.auc >>> 0.7');
  await page.getByRole('alert').getByText('The filter did not work').waitFor();
  assert.equal(await main().getByText('No run fits this filter.').count(), 0);
  assert.equal(
    await main()
      .getByText(/as of .* ago/)
      .count(),
    0,
  );
  await main().getByText('live', { exact: true }).waitFor();
  await check(page, 'a filter at fault', /400/);
});

it('leaves no older answer under an error', async () => {
  page = await open(browser, server);
  await page.route('**/api/v1/endpoints/tried', (route) =>
    route.fulfill({
      json: {
        name: 'tried',
        model: 'models:/m/1',
        state: 'ready',
        owner: 'admin',
        live: { version: '1', digest: '', flavor: 'lightgbm', loaded: '2026-01-02T03:04:05Z' },
        signature: { inputs: [], outputs: [] },
      },
    }),
  );
  await page.route('**/endpoints/tried/invocations', (route) =>
    route.request().postData().includes('7')
      ? route.fulfill({ status: 400, json: { error: { code: 'invalid', message: 'No sevens.' } } })
      : route.fulfill({
          headers: { 'Strata-Prediction-Id': 'p-1', 'Strata-Model-Version': '1' },
          json: { predictions: [0.25] },
        }),
  );
  await visit(page, server, '/endpoints/tried?tab=try');
  const ask = () => page.getByRole('button', { name: 'Predict', exact: true }).click();
  const why = main().getByRole('link', { name: 'Why this answer?' });
  await ask();
  await why.waitFor();
  await page.getByLabel('Request').fill('{"inputs": [[7]]}');
  await ask();
  await page.getByRole('alert').getByText('No sevens.').waitFor();
  assert.equal(await why.count(), 0);
  assert.equal(await main().getByText('0.25').count(), 0);
  await check(page, 'a refused request', /400/);
});
