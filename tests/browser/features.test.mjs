// The catalog of features: found by what they compute, read online, and as commands.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, afterEach, before, it } from 'node:test';
import { promisify } from 'node:util';
import { check, launch, open, shoot, visit } from './browser.mjs';
import { Server } from './server.mjs';

const run = promisify(execFile);
let server;
let browser;
let page;
before(async () => {
  server = await Server.shared();
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
const names = () => main().locator('tbody a.name').allInnerTexts();
const kReaders = ['flight_delays', 'landings', 'carrier_delay', 'carrier_delay_of_a_day'];
const kService = '/features/service/flight_delays?tab=read';

it('finds definitions by text, owner, column and computation', async () => {
  page = await open(browser, server);
  await visit(page, server, '/features');
  for (const [label, text, found] of [
    ['Text', 'airline', ['carrier']],
    ['Owner', 'ada', ['carrier_delay']],
    ['Reads the column', 'delay', kReaders],
    ['Computes the same as', '(delay) / 60.0', ['carrier_delay', 'carrier_delay_of_a_day']],
  ]) {
    const field = main().getByLabel(label, { exact: true });
    await field.fill(text);
    await page.waitForFunction(
      (wanted) =>
        JSON.stringify(
          [...document.querySelectorAll('main tbody a.name')].map((a) => a.innerText),
        ) === wanted,
      JSON.stringify(found),
    );
    await field.fill('');
  }
  await main().getByLabel('Computes the same as').fill('delay * ');
  await main().getByRole('alert').getByText('The features could not be searched').waitFor();
  await check(page, 'an expression at fault', /400/);
  await main().getByLabel('Computes the same as').fill('delay * 99');
  await main().getByText('No feature of landings computes this.').waitFor();
  await main().getByRole('button', { name: 'Show all' }).click();
  await main().getByRole('link', { name: 'flight_delays' }).waitFor();
  assert.ok((await names()).length > 4);
});

it('shows what differs between two versions, and who reads it', async () => {
  page = await open(browser, server);
  await visit(page, server, '/features/view/carrier_delay?tab=versions');
  const newest = main().getByRole('list', { name: 'Versions' }).getByRole('listitem').first();
  await newest.getByText('stands now').waitFor();
  await newest.getByText('lt_f64 15').first().waitFor();
  await newest.getByText('lt_f64 30').first().waitFor();
  await main().getByRole('link', { name: 'Readers' }).click();
  await main().getByRole('list', { name: 'Readers' }).getByRole('link', { name: 'trip' }).click();
  await page.getByRole('heading', { name: 'trip', level: 1 }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/features/on_demand/trip');
});

it('reads the values of keys with their age, and as commands', async () => {
  page = await open(browser, server);
  await visit(page, server, kService);
  await main().getByLabel('distance, double').fill('far');
  await main().getByText('A number such as 733.5.').waitFor();
  assert.ok(await main().getByRole('button', { name: 'Read', exact: true }).isDisabled());
  await main().getByLabel('distance, double').fill('620');
  await main().getByLabel('carrier, string').fill('AA');
  await main().getByRole('button', { name: 'Read', exact: true }).click();
  const values = main().getByRole('group', { name: 'Values' });
  const row = (name) => values.getByRole('row').filter({ hasText: name });
  await row('carrier_delay.late').getByText('true', { exact: true }).waitFor();
  await row('carrier_delay.late').getByText('older than promised').waitFor();
  await row('trip.pace').getByText('1240', { exact: true }).waitFor();
  await shoot(page, 'feature-values-light-1280');
  await check(page, 'values of features');

  const commands = main().getByRole('region', { name: 'As CLI, curl, Python' });
  for (const kind of ['CLI', 'curl', 'Python']) {
    await commands.getByRole('button', { name: kind, exact: true }).click();
    const text = await commands.getByLabel('Command', { exact: true }).innerText();
    const { stdout } = await run(
      'bash',
      ['-c', kind === 'Python' ? `python3 - <<'END'\n${text}\nEND` : `set -e\n${text}`],
      { env: { ...process.env, ...server.env, PATH: server.path } },
    );
    assert.match(stdout, /1240/, text);
    assert.match(stdout, /PRESENT/, text);
  }

  await main().getByLabel('carrier, string').fill('nobody');
  await main().getByRole('button', { name: 'Read', exact: true }).click();
  await row('carrier_delay.late').getByText('not found').waitFor();
});

it('says that a value is too old to be given, on a phone in the dark', async () => {
  page = await open(browser, server, { theme: 'dark', width: 390, height: 844 });
  await visit(page, server, '/features/view/carrier_delay_of_a_day?tab=read');
  await main().getByLabel('carrier, string').fill('UA');
  await main().getByRole('button', { name: 'Read', exact: true }).click();
  await main().getByRole('group', { name: 'Values' }).getByText('outside max age').waitFor();
  await shoot(page, 'feature-values-dark-390');
  await check(page, 'an expired value');
});
