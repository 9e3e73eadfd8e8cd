// The commands that the pages show do what they say when they are pasted.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import { launch, open, visit } from './browser.mjs';
import { pages } from './pages.mjs';
import { python, root, Server } from './server.mjs';

const run = promisify(execFile);
const kNone = ['lineage']; // nothing is asked there yet
let server;
let browser;
let folder;
before(async () => {
  server = await Server.start();
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), 'strata-commands-'));
  writeFileSync(join(folder, 'FILE'), 'x,y\n1,2\n');
});
after(async () => {
  await browser?.close();
  await server?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

// As the pages say: `strata env` first. A status that is no success ends curl with an error.
function paste(text) {
  const lines = [
    'set -e',
    'settings=$(strata env --data "$DATA")',
    'eval "$settings"',
    'curl() { command curl --silent --show-error --fail-with-body --max-time 60 "$@"; }',
    text.replaceAll(/\bNAME\b/g, 'made-by-command').replaceAll(/\bUSER\b/g, 'ada'),
  ];
  const env = { ...process.env, PATH: server.path, DATA: server.data };
  return run('bash', ['-c', lines.join('\n')], { cwd: folder, env, maxBuffer: 1 << 24 });
}

async function commands_of(page, kind) {
  const commands = page.locator('header').getByRole('region', { name: 'As CLI, curl, Python' });
  await commands.getByRole('button', { name: kind, exact: true }).click();
  return commands.getByLabel('Command', { exact: true }).innerText();
}

it('visits all pages that there are', () => {
  const source = readFileSync(join(root, 'web/src/pages.ts'), 'utf8');
  const visited = pages(server.seeded).map(([, path]) => path.split('?')[0]);
  for (const [, pattern] of source.matchAll(/pattern: '([^']+)'/g)) {
    const parts = pattern.replaceAll(/\{\w+\+\}/g, '.+').replaceAll(/\{\w+\}/g, '[^/]+');
    assert.ok(
      visited.some((path) => new RegExp(`^${parts}$`).test(path)),
      pattern,
    );
  }
});

it('answers the commands of every page', async (test) => {
  const page = await open(browser, server);
  const pasted = new Set();
  for (const [name, path] of pages(server.seeded)) {
    await test.test(name, async () => {
      await visit(page, server, `${path}${path.includes('?') ? '&' : '?'}code=1`);
      const button = page.getByRole('button', { name: 'As CLI, curl, Python' });
      if (kNone.includes(name)) return assert.equal(await button.count(), 0);
      for (const kind of ['CLI', 'curl']) {
        const text = await commands_of(page, kind);
        if (pasted.has(text)) continue;
        pasted.add(text);
        await paste(text);
      }
    });
  }
  await page.context().close();
});

it('calls the endpoint over gRPC as its page says', async () => {
  const page = await open(browser, server);
  await visit(page, server, '/endpoints/flights?code=1');
  const { stdout } = await paste(`'${python}' - <<'END'\n${await commands_of(page, 'gRPC')}\nEND`);
  assert.match(stdout, /model_name: "flights"/);
  assert.match(stdout, /raw_output_contents/);
  await page.context().close();
});

it('names the thing on the page', async () => {
  const page = await open(browser, server);
  const [first, second] = server.seeded.runs;
  for (const [path, kind, wanted] of [
    ['/endpoints/flights', 'CLI', ['strata endpoint show flights']],
    ['/endpoints/flights', 'curl', ['/endpoints/flights/invocations']],
    ['/pipelines/daily', 'CLI', ['strata flow status --flow daily']],
    ['/lineage?ref=table:flights', 'curl', ['/api/v1/why/table%3Aflights"']],
    [`/runs/compare?runs=${first},${second}`, 'CLI', [first, second]],
    [`/runs/compare?runs=${first},${second}`, 'curl', [first, second]],
  ]) {
    await visit(page, server, `${path}${path.includes('?') ? '&' : '?'}code=1`);
    const text = await commands_of(page, kind);
    for (const part of wanted) assert.ok(text.includes(part), `${path}: ${text}`);
  }
  await page.context().close();
});
