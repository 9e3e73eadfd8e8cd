// How the pages show numbers, sizes, times and digests: short where that is enough, and never as
// something else than they are. What the server says is made up here, for values that are rare.

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
const answer = (path, json) => page.route(path, (route) => route.fulfill({ json }));
const main = () => page.getByRole('main');

const kPrediction = {
  id: '019b0000-0000-7000-8000-000000000001',
  endpoint: 'prices',
  model: 'prices',
  version: 1,
  digest: `sha256:${'a'.repeat(64)}`,
  time: '2026-01-02T03:04:05.678Z',
  latency_us: 120,
  status: 'ok',
  rows: [
    {
      row: 0,
      inputs: { area: 1234567.890123, rooms: 3 },
      outputs: { predictions: 132905.62816317866 },
    },
  ],
};

it('shows all digits of a prediction and of what went in', async () => {
  page = await open(browser, server);
  await answer(`**/api/v1/predictions/${kPrediction.id}`, kPrediction);
  await answer('**/api/v1/why/**', { root: `prediction:${kPrediction.id}`, nodes: [], edges: [] });
  await visit(page, server, `/predictions/${kPrediction.id}`);
  for (const value of ['132905.62816317866', '1234567.890123'])
    await main().getByRole('cell', { name: value, exact: true }).waitFor();
  await check(page, 'a prediction');
});

it('keeps the whole part of numbers in lists, and all digits under the pointer', async () => {
  page = await open(browser, server);
  const metrics = { loss: 0.00123456789, price: 987654321.125, rows: 12345678901, auc: 0.6814 };
  await answer('**/api/v1/models/prices', {
    name: 'prices',
    owner: 'admin',
    team: 'default',
    created: kPrediction.time,
    updated: kPrediction.time,
    latest_version: 1,
    aliases: {},
    versions: [
      {
        name: 'prices',
        version: 1,
        aliases: [],
        digest: kPrediction.digest,
        status: 'READY',
        owner: 'admin',
        created: kPrediction.time,
        metrics,
      },
    ],
    alias_history: [],
  });
  await answer('**/api/v1/models/prices/protections', { protections: [] });
  await answer('**/api/v1/models/prices/explain', {
    model: 'prices',
    subject: '1',
    version: 1,
    digest: kPrediction.digest,
    package_digest: kPrediction.digest,
    questions: [],
    at: null,
    since: null,
    answered: [],
  });
  await visit(page, server, '/models/prices');
  for (const [shown, exact] of [
    ['987,654,321.13', '987654321.125'],
    ['12,345,678,901', '12345678901'],
    ['0.00123457', '0.00123456789'],
    ['0.6814', '0.6814'],
  ])
    assert.equal(await main().getByText(shown, { exact: true }).getAttribute('title'), exact);
  await check(page, 'a model with metrics');
});

it('names the digest of an object in parts for what it is', async () => {
  page = await open(browser, server);
  const digest = `sha256-parts:${'0123456789abcdef'.repeat(4)}`;
  await answer('**/api/v1/lake/buckets/raw/objects?**', {
    prefixes: [],
    objects: [
      {
        key: 'large.bin',
        size: 12_000_000,
        etag: 'e-2',
        digest,
        modified: kPrediction.time,
        content_type: 'application/octet-stream',
      },
    ],
    cursor: null,
  });
  await page.route('**/objects/large.bin', (route) => route.fulfill({ body: '\0' }));
  await visit(page, server, '/lake/raw/large.bin');
  await main().getByText('SHA-256 of parts', { exact: true }).waitFor();
  assert.equal(await main().getByText('0123456789', { exact: true }).getAttribute('title'), digest);
  await page.getByRole('button', { name: `Copy ${digest}` }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), digest);
  await check(page, 'an object in parts');
});

it('reads rows by the separator that a file uses', async () => {
  page = await open(browser, server);
  await server.api('POST', '/api/v1/lake/buckets', { name: 'rows' });
  for (const [name, text] of [
    ['semicolons.csv', 'name;price\n"a;b";1,5\nc;2,25\n'],
    ['tabs.csv', 'name\tprice\na;b\t1,5\nc\t2,25\n'],
    ['commas.csv', 'name,price\n"a;b","1,5"\nc,"2,25"\n'],
  ]) {
    const path = `${server.url}/api/v1/lake/buckets/rows/objects/${name}`;
    const headers = { Authorization: `Bearer ${server.token}` };
    assert.ok((await fetch(path, { method: 'PUT', headers, body: text })).ok);
    await visit(page, server, `/lake/rows/${name}`);
    for (const cell of ['a;b', '1,5', 'c', '2,25'])
      await main().getByRole('cell', { name: cell, exact: true }).waitFor();
  }
  await check(page, 'a table of text');
});

it('says of a binary file only what there is to say', async () => {
  page = await open(browser, server);
  await server.api('POST', '/api/v1/lake/buckets', { name: 'bits' });
  const headers = { Authorization: `Bearer ${server.token}` };
  const put = (name) =>
    fetch(`${server.url}/api/v1/lake/buckets/bits/objects/${name}`, {
      method: 'PUT',
      headers,
      body: Buffer.from([0, 1, 2, 3]),
    });
  await put('some.dat');
  await visit(page, server, '/lake/bits/some.dat');
  await main().getByText('This is binary, and cannot be shown as text.').waitFor();
  assert.equal(await main().getByText('Tables can be read').count(), 0);
});

it('names the types of a signature as the signature does', async () => {
  page = await open(browser, server);
  await answer('**/api/v1/endpoints/prices', {
    name: 'prices',
    model: 'models:/prices@champion',
    state: 'ready',
    owner: 'admin',
    created: kPrediction.time,
    live: null,
    signature: {
      inputs: [
        { name: 'area', type: 'double', required: true },
        { name: 'rooms', type: 'long', required: false },
      ],
      outputs: [{ name: 'price', type: 'FP64', shape: '[-1]' }],
    },
  });
  await visit(page, server, '/endpoints/prices?tab=signature');
  const table = (name) => main().getByRole('group', { name });
  assert.match(await table('Outputs').innerText(), /price\s+double\s+\[-1\]/);
  const inputs = table('Inputs');
  assert.deepEqual(await inputs.getByRole('columnheader').allInnerTexts(), [
    'Name',
    'Type',
    'Required',
  ]);
  assert.match(await inputs.innerText(), /area\s+double\s+yes\s+rooms\s+long\s+no/);
  await check(page, 'a signature');
});

it('tells small costs with their currency, in one form', async () => {
  page = await open(browser, server);
  await page.route('**/api/v1/sql/queries?**', async (route) => {
    const query = {
      id: 'q1',
      user: 'admin',
      sql: 'SELECT 1',
      statement: 'SELECT',
      state: 'succeeded',
      started: new Date().toISOString(),
      elapsed_ms: 12,
      rows: 1,
      bytes: 1,
      cpu_ms: 1,
      currency: 'EUR',
    };
    const queries = [
      { ...query, cost: 2.19e-7 },
      { ...query, id: 'q2', cost: 1.25 },
    ];
    await route.fulfill({ json: { queries } });
  });
  await visit(page, server, '/sql?side=history');
  const small = page.getByText('< 0.0001 EUR', { exact: true });
  assert.match(await small.getAttribute('title'), /^2\.19e-7 EUR/);
  await page.getByText('1.2500 EUR', { exact: true }).waitFor();
  const inside = await small.evaluate((node) => {
    const [at, aside] = [node, node.closest('aside')].map((n) => n.getBoundingClientRect());
    return at.right <= aside.right;
  });
  assert.ok(inside, 'the cost is cut off');
});

it('tells the times of what led to an answer as it tells all times', async () => {
  page = await open(browser, server);
  const ref = `prediction:${kPrediction.id}`;
  const node = { version: '', digest: '', owner: 'admin', time: kPrediction.time };
  await answer(`**/api/v1/predictions/${kPrediction.id}`, kPrediction);
  await answer('**/api/v1/why/**', {
    nodes: [
      { ...node, ref, kind: 'prediction', name: 'p', facts: { asked: kPrediction.time } },
      { ...node, ref: 'model:prices@1', kind: 'model', name: 'prices', facts: {} },
    ],
    edges: [{ from: 'model:prices@1', to: ref, relation: 'answered', time: kPrediction.time }],
    truncated: false,
  });
  await visit(page, server, `/predictions/${kPrediction.id}`);
  const why = page.getByRole('region', { name: 'Why' });
  await why.getByText(/^Jan 2, 2026, \d\d:\d\d:\d\d/).waitFor();
  assert.equal(await why.getByText(kPrediction.time).count(), 0);
});
