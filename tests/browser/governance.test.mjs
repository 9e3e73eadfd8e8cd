// A protected alias on a model's page: what waits, who may decide; and what differs between two
// versions.

import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { check, launch, open, shoot, visit } from './browser.mjs';
import { Server } from './server.mjs';

let server;
let browser;
let page;
let mia;
before(async () => {
  server = await Server.start({ seed: false });
  browser = await launch();
  await server.api('POST', '/api/v1/users', { name: 'mia', role: 'member' });
  mia = (await server.api('POST', '/api/v1/tokens', { user: 'mia' })).token;
  const registry = '/api/2.0/mlflow';
  await server.api('POST', `${registry}/registered-models/create`, { name: 'houses' });
  for (const source of ['s3://b/1', 's3://b/2'])
    await server.api('POST', `${registry}/model-versions/create`, { name: 'houses', source });
  await server.api('PUT', '/api/v1/models/houses/aliases/champion', { version: 1 });
  await server.api('PUT', '/api/v1/models/houses/aliases/champion/protection', {});
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  await page?.context().close();
});
const panel = () => page.getByRole('region', { name: 'Protected aliases' });
const button = (name) => page.getByRole('button', { name, exact: true });
const champion = async () => (await server.api('GET', '/api/v1/models/houses')).aliases.champion;

it('asks for a move, which another person approves on the page', async () => {
  page = await open(browser, server, { token: mia });
  await visit(page, server, '/models/houses');
  await panel().getByText('moves when a second person approves').waitFor();
  await button('Move alias').first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('To version').selectOption('2');
  await dialog.getByRole('button', { name: 'Move alias' }).click();
  await dialog.getByRole('alert').getByText('waits for approval').waitFor();
  page.faults.length = 0; // the answer is the request
  assert.equal(await champion(), 1);
  await page.keyboard.press('Escape');
  const request = panel().getByRole('group');
  await request.getByText('v1 → v2').waitFor();
  await request.getByRole('button', { name: 'Approve' }).click();
  await panel().getByRole('alert').getByText('another person approves it').waitFor();
  page.faults.length = 0;
  assert.equal(await champion(), 1);
  await page.context().close();

  page = await open(browser, server);
  await visit(page, server, '/models/houses');
  await panel().getByText('asked by mia').waitFor();
  await check(page, 'a request that waits');
  await shoot(page, 'model-request-light-1280');
  await panel().getByRole('group').getByRole('button', { name: 'Approve' }).click();
  await panel().getByRole('group').waitFor({ state: 'detached' });
  assert.equal(await champion(), 2);
  await page.getByRole('link', { name: /Alias history/ }).click();
  const newest = page.getByRole('row').filter({ hasText: 'v1 → v2' });
  await newest.getByText('mia').waitFor();
  await newest.getByText('admin').waitFor();
  await check(page, 'the approved move');
});

it('compares two versions', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models/houses?tab=compare&a=1&b=2');
  await page.getByRole('row').filter({ hasText: 'champion' }).waitFor();
  await check(page, 'the differences');
  await page.getByLabel('Compared with').selectOption('1');
  await page.getByText('v1 and v1 are equal.').waitFor();
  await check(page, 'no differences');
});

it('fits a narrow window', async () => {
  await server.api('PUT', '/api/v1/models/houses/aliases/next/protection', { approvers: ['mia'] });
  page = await open(browser, server, { width: 390, height: 844 });
  await visit(page, server, '/models/houses?tab=compare&a=1&b=2');
  await panel().getByText('user mia').waitFor();
  await page.getByRole('row').filter({ hasText: 'champion' }).waitFor();
  await check(page, 'rules and differences, narrow');
});
