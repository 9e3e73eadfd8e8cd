// Chromium, watched: what the console, the network and axe say of a page is part of every test.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from './server.mjs';

// The packages are installed in web/, which this folder is not below.
const packages = createRequire(join(root, 'web/package.json'));
const { chromium } = packages('playwright-core');
const axe = readFileSync(packages.resolve('axe-core/axe.min.js'), 'utf8');
export const shots = join(root, 'build/screenshots');
mkdirSync(shots, { recursive: true });

const kFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: kFlags,
  });

// A page that is signed in. `faults` collects what a careful reader of the developer tools would
// see.
export async function open(
  browser,
  server,
  { theme = 'light', width = 1280, height = 900, token } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: 'reduce',
    acceptDownloads: true,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await context.addInitScript(
    (given) => {
      if (given && !sessionStorage.getItem('strata.token'))
        sessionStorage.setItem('strata.token', given);
    },
    token === undefined ? server.token : token,
  );
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.faults = [];
  page.pending = new Set();
  page.on('request', (request) => kEndless.test(request.url()) || page.pending.add(request));
  page.on('requestfinished', (request) => page.pending.delete(request));
  page.on('requestfailed', (request) => page.pending.delete(request));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      page.faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.faults.push(`exception: ${error.message}`));
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? '';
    // A page that is left cancels what it still waits for.
    if (why !== 'net::ERR_ABORTED') page.faults.push(`request: ${request.url()} ${why}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (['http:', 'https:'].includes(url.protocol) && url.origin !== server.url)
      page.faults.push(`another host: ${url}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400)
      page.faults.push(
        `status ${response.status()}: ${response.request().method()} ${response.url()}`,
      );
  });
  return page;
}

// Answers without an end: what changes, and logs that are followed.
const kEndless = /\/events\/stream|[?&]follow=/;

// Waits until what was asked for has come: no skeleton, no request that waits for its answer.
export async function settled(page) {
  await page.locator('main h1').first().waitFor();
  await page.waitForFunction(
    () => !document.querySelector('main [aria-label="Loading"]:not([data-sample] *)'),
  );
  const deadline = Date.now() + 15_000;
  for (let quiet = 0; quiet < 3; quiet = page.pending.size ? 0 : quiet + 1) {
    assert.ok(Date.now() < deadline, `still asked for: ${[...page.pending].map((r) => r.url())}`);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
  }
}

export async function visit(page, server, path) {
  await page.goto(server.url + path);
  await settled(page);
}

// Fails with each violation and where it stands; faults that `expected` describes are none.
export async function check(page, name, expected = /^$/) {
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  await session.detach();
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const found = violations.flatMap((v) =>
    v.nodes.map((node) => `${v.id}: ${node.target.join(' ')}: ${node.failureSummary}`),
  );
  assert.deepEqual(found, [], `axe on ${name}`);
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.ok(wide <= 0, `${name} is ${wide} px wider than its window`);
  const faults = page.faults.filter((fault) => !expected.test(fault));
  assert.deepEqual(faults, [], `console and network of ${name}`);
}

export const shoot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
