// A release from the page of a version: its gates, its numbers as they come, and what people do.

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
const main = () => page.getByRole('main');
const newest = async () => (await server.api('GET', '/api/v1/releases?limit=1')).releases[0];
const detail = async () => server.api('GET', `/api/v1/releases/${(await newest()).id}`);

// Requests to the endpoint, each of another entity, until the newest release is as it should be.
async function ask_until(right) {
  const deadline = Date.now() + 30_000;
  for (let i = 0; !right(await detail()); ++i) {
    assert.ok(Date.now() < deadline, JSON.stringify(await detail()));
    const row = { hour: 5 + (i % 19), distance: 100 + ((37 * i) % 2900), wind: (i * 7) % 30 };
    const response = await fetch(`${server.url}/endpoints/flights/invocations`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${server.token}`,
        'Content-Type': 'application/json',
        'Strata-Entity': `flight ${i}`,
      },
      body: JSON.stringify({ dataframe_records: [row] }),
    });
    assert.equal(response.status, 200, await response.text());
  }
}

// Opens the dialog of an action, looks at it and does it.
async function act(name, reason) {
  await main().getByRole('button', { name, exact: true }).click();
  const dialog = page.getByRole('dialog', { name: `${name} flights` });
  const button = dialog.getByRole('button', { name, exact: true });
  await dialog.getByLabel('Command', { exact: true }).waitFor();
  if (reason) await dialog.getByLabel('Reason').fill(reason);
  await check(page, `the confirmation of ${name}`);
  await button.click();
  await dialog.waitFor({ state: 'hidden' });
}

it('shows what was decided against the evidence, and by which numbers it ended', async () => {
  page = await open(browser, server);
  await visit(page, server, '/releases');
  await main().locator(`a[href="/releases/${server.seeded.release}"]`).click();
  await main().getByText('Rolled back by hand: the old one was no better.').waitFor();
  const way = main().getByRole('list', { name: 'Way of the release' });
  assert.deepEqual((await way.locator('b').allInnerTexts()).slice(0, 3), [
    'Gates',
    'Shadow',
    'Rolled back',
  ]);
  const limits = main().getByRole('group', { name: 'Limits' });
  const { edges } = await server.api('GET', `/api/v1/releases/${server.seeded.release}`);
  const { evidence } = edges.at(-1);
  assert.equal(await limits.locator('tbody tr').count(), evidence.length);
  for (const { metric } of evidence)
    await limits.getByRole('button', { name: metric.replaceAll('_', ' '), exact: true }).waitFor();
  assert.equal(await main().getByRole('button', { name: 'Roll back' }).count(), 0);
});

it('refuses shares that cannot be compared, and says why', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models/flights-late?version=1');
  await main().getByRole('button', { name: 'Release', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Release v1 of flights-late' });
  const start = dialog.getByRole('button', { name: 'Start release' });
  await dialog.getByLabel('Shares of the canary').fill('half');
  await dialog.getByText('PERCENT:SAMPLE, separated by commas').waitFor();
  assert.ok(await start.isDisabled());
  await dialog.getByLabel('Shares of the canary').fill('60:10');
  await start.click();
  await dialog.getByRole('alert').getByText('steps: 60 % does not follow on 0 %').waitFor();
  await check(page, 'a refused release', /400/);
});

it('takes a version through gates and shadow to a canary, and back', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models/flights-late?version=1');
  await main().getByRole('button', { name: 'Release', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Release v1 of flights-late' });
  await dialog.getByLabel('Answers of the shadow').fill('10');
  await dialog.getByLabel('Shares of the canary').fill('20:100000, 50:200000');
  await dialog.getByText('--shadow 10 --steps 20:100000,50:200000').waitFor();
  await dialog.getByRole('button', { name: 'Look at the gates' }).click();
  const gates = dialog.getByRole('list', { name: 'Gates' });
  await gates.getByText('signature').waitFor();
  await shoot(page, 'release-start-light-1280');
  await check(page, 'a planned release');
  await dialog.getByRole('button', { name: 'Start release' }).click();
  await page.waitForURL(/\/releases\/rel-/);
  const { id, version } = await newest();
  assert.equal(version, '1');
  assert.equal(new URL(page.url()).pathname, `/releases/${id}`);

  const override = main().getByRole('button', { name: 'Override gates' });
  const promote = main().getByRole('button', { name: 'Promote', exact: true });
  await override.or(promote).first().waitFor({ timeout: 60_000 });
  if (await override.isVisible()) await act('Override gates', 'its lineage is thin');
  await promote.waitFor();
  await ask_until(({ stage }) => stage === 'canary');
  // Without a reload: ten answers of the shadow were enough.
  const way = main().getByRole('list', { name: 'Way of the release' });
  await way.locator('[aria-current="step"]').getByText('20 %').waitFor();
  await ask_until(({ findings }) => findings.some((f) => f.requests_candidate >= 20));
  const errors = main()
    .getByRole('row')
    .filter({ has: page.getByRole('button', { name: 'errors', exact: true }) });
  await errors.getByText('within').waitFor();
  await main()
    .getByRole('img', { name: /Share of the traffic: v1 20/ })
    .waitFor();
  await shoot(page, 'release-canary-light-1280');
  await check(page, 'a canary');

  await act('Pause');
  await main().getByText('paused', { exact: true }).first().waitFor();
  assert.equal((await newest()).paused, true);
  await act('Resume');
  await main().getByRole('button', { name: 'Promote', exact: true }).click();
  const promotion = page.getByRole('dialog', { name: 'Promote flights' });
  assert.ok(await promotion.getByRole('button', { name: 'Promote', exact: true }).isDisabled());
  await promotion.getByText('one step on, to 50 %').waitFor();
  await promotion.getByLabel('Reason').fill('the fix cannot wait');
  await promotion.getByText("--reason 'the fix cannot wait'").waitFor();
  await promotion.getByRole('button', { name: 'Promote', exact: true }).click();
  await way.locator('[aria-current="step"]').getByText('50 %').waitFor();
  const word = () => main().getByText('“the fix cannot wait”').first();
  await word().waitFor();
  await act('Roll back', 'a change of mind');
  await main().getByText('Rolled back by hand: a change of mind.').waitFor();
  assert.equal((await newest()).stage, 'rolled_back');
  await page.reload();
  await word().waitFor();
  await shoot(page, 'release-back-light-1280');
});

it('can be rolled back on a phone, in the dark', async () => {
  const begun = await server.api('POST', '/api/v1/releases', {
    endpoint: 'flights',
    model: 'models:/flights-late/1',
  });
  page = await open(browser, server, { theme: 'dark', width: 390, height: 844 });
  await visit(page, server, `/releases/${begun.id}`);
  await act('Roll back', 'woken up');
  await main().getByText('Rolled back by hand: woken up.').waitFor();
  await shoot(page, 'release-back-dark-390');
  await check(page, 'a release on a phone');
});
