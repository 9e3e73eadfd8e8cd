// Flags and experiments: what they say, and the kill switch with its confirmation.

import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { check, launch, open, shoot, visit } from './browser.mjs';
import { Server } from './server.mjs';

let server;
let browser;
let page;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  await page?.context().close();
});
const kFlag = '/flags/button-colour';
const flag = () => server.api('GET', `/api/v1${kFlag}`);

it('tells the rules of a flag in words', async () => {
  page = await open(browser, server, { width: 390, height: 844 });
  await visit(page, server, kFlag);
  const rules = page.getByRole('list', { name: 'Rules' });
  await rules.getByText('experiment colour: old 50 %: "grey", new 50 %: "blue"').waitFor();
  await rules.getByText('where {"plan":"staff"}').waitFor();
  await shoot(page, 'flag-light-390');
  await check(page, 'the rules of a flag');
});

it('kills a flag only with a reason and brings it back', async () => {
  page = await open(browser, server);
  await visit(page, server, kFlag);
  await page.getByRole('button', { name: 'Kill' }).click();
  const dialog = page.getByRole('dialog', { name: 'Kill button-colour' });
  await dialog.getByText('everyone gets the value in the code').waitFor();
  const kill = dialog.getByRole('button', { name: 'Kill' });
  assert.ok(await kill.isDisabled());
  await check(page, 'the confirmation');
  await dialog.getByLabel('Reason').fill('it burns');
  await shoot(page, 'flag-kill-light-1280');
  await kill.click();
  await page.getByText('killed', { exact: true }).first().waitFor();
  assert.equal((await flag()).state, 'killed');
  await page.getByRole('button', { name: 'Turn on' }).click();
  const back = page.getByRole('dialog', { name: 'Turn on button-colour' });
  await back.getByLabel('Reason').fill('put out');
  await back.getByRole('button', { name: 'Turn on' }).click();
  await page.getByText('on', { exact: true }).first().waitFor();
  const { state, reason } = await flag();
  assert.deepEqual([state, reason], ['on', 'put out']);
});

it('reports an experiment so that a product manager understands it', async () => {
  const events = [];
  for (let i = 0; i < 400; ++i) {
    const properties_json = {
      experimentId: 'colour',
      variationId: i % 2 ? 'new' : 'old',
      hashAttribute: 'id',
      hashValue: `u${i}`,
    };
    events.push({ event_name: 'Experiment Viewed', properties_json });
  }
  const { key } = await server.api('POST', '/api/v1/flag-keys', { name: 'browser' });
  await server.api('POST', `/track?client_key=${key}`, events);
  for (const theme of ['light', 'dark']) {
    page = await open(browser, server, { theme });
    await visit(page, server, '/experiments');
    await page.getByRole('link', { name: 'blue-button' }).click();
    const decision = page.getByRole('region', { name: 'Decision' });
    await decision.getByText('Go on: the data decide nothing yet').waitFor();
    await page.getByText('400: new 200, old 200').waitFor();
    await page.getByText('as planned').waitFor();
    await shoot(page, `experiment-report-${theme}-1280`);
    await check(page, `the report, ${theme}`);
    await page.context().close();
  }
});
