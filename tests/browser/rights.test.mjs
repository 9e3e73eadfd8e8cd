// What the pages show and offer to those who may not do everything.

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
  await server.api('POST', '/api/v1/lake/buckets', { name: 'shared' });
  await server.api('POST', '/api/v1/users', { name: 'mia', role: 'member' });
  await server.api('POST', '/api/v1/users', { name: 'vera', role: 'viewer' });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  await page?.context().close();
});
const button = (name) => page.getByRole('button', { name, exact: true });
const main = () => page.getByRole('main');
const token_of = async (wish) => (await server.api('POST', '/api/v1/tokens', wish)).token;

it('tells a member quietly what an administrator would see', async () => {
  page = await open(browser, server, { token: await token_of({ user: 'mia' }) });
  await visit(page, server, '/');
  await page.getByRole('region', { name: 'What happened' }).getByText('Needs audit:read').waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
  assert.equal(await button('Retry').count(), 0);
  await check(page, 'home of a member', /403/);
});

it('tells the bearer of a narrow token what each part of the page needs', async () => {
  const token = await token_of({ user: 'mia', scope: 'lake:read' });
  page = await open(browser, server, { token });
  await visit(page, server, '/');
  await page.getByRole('link', { name: 'shared' }).waitFor();
  for (const scope of ['endpoint:read', 'flow:read', 'model:read', 'tracking:read', 'audit:read'])
    await main().getByText(`Needs ${scope}`).waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
});

it('offers a viewer nothing that a viewer may not do, and a member all of it', async () => {
  const kOffers = [
    ['/lake', 'New bucket', true],
    ['/lake/shared', 'Upload', true],
    ['/lake/shared', 'Delete bucket', true],
    ['/endpoints', 'New endpoint', true],
    ['/admin', 'New user', false],
    ['/admin', 'Disable', false],
  ];
  for (const [user, member] of [
    ['vera', false],
    ['mia', true],
  ]) {
    page = await open(browser, server, { token: await token_of({ user }) });
    for (const [path, name, writes] of kOffers) {
      await visit(page, server, path);
      await page.getByText(user, { exact: true }).first().waitFor(); // the server has said who it is
      assert.equal(await button(name).count(), member && writes ? 1 : 0, `${name} for ${user}`);
    }
    await page.keyboard.press('Control+k');
    await page.getByRole('option', { name: /Light or dark/ }).waitFor();
    const commands = await page.getByRole('option', { name: /New (bucket|endpoint)/ }).count();
    assert.equal(commands, member ? 2 : 0, `commands for ${user}`);
    await page.context().close();
  }
});
