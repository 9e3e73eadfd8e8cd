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
      // The server has said who it is.
      await page.getByText(user, { exact: true }).first().waitFor();
      assert.equal(await button(name).count(), member && writes ? 1 : 0, `${name} for ${user}`);
    }
    await page.keyboard.press('Control+k');
    await page.getByRole('option', { name: /Light or dark/ }).waitFor();
    const commands = await page.getByRole('option', { name: /New (bucket|endpoint)/ }).count();
    assert.equal(commands, member ? 2 : 0, `commands for ${user}`);
    await page.context().close();
  }
});

it('makes a token that ends with the session, and says how one lives longer', async () => {
  const link = (await server.strata('login-link')).stdout;
  page = await open(browser, server, { token: '' });
  await page.goto(`${server.url}/#token=${/#token=(\w+)/.exec(link)[1]}`);
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  await visit(page, server, '/admin?tab=tokens&new=1');
  const dialog = page.getByRole('dialog');
  const ends = dialog.getByLabel('Ends');
  await dialog.getByText('strata token create --user admin').waitFor();
  const chosen = await ends.locator('option:checked').innerText();
  assert.match(chosen, /when you are signed out, in 1\d h/);
  const off = await ends.locator('option:disabled').allInnerTexts();
  assert.deepEqual(off, [
    'after 12 hours',
    'after 7 days',
    'after 30 days',
    'after 90 days',
    'after 1 year',
    'never',
  ]);
  await check(page, 'a new token');
  await button('Create token').click();
  await dialog.getByText('They are shown this once').waitFor();
  await check(page, 'the made token');
});

it('shows the id and the project of a token, which leads to what was done to it', async () => {
  const { id } = await server.api('POST', '/api/v1/tokens', { user: 'mia' });
  page = await open(browser, server);
  await visit(page, server, '/admin?tab=tokens');
  const row = page.getByRole('row').filter({ has: page.getByTitle(id) });
  await row.getByRole('cell', { name: 'default', exact: true }).waitFor();
  await row.getByTitle(id).click();
  await page.getByRole('cell', { name: 'token.create' }).waitFor();
  await page.getByRole('cell', { name: `token:${id}` }).waitFor();
  assert.equal(await main().getByRole('row').count(), 2);
});
