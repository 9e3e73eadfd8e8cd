// How the UI's files are served: forms, caching, policy, and which paths are pages.

import assert from 'node:assert/strict';
import { get } from 'node:http';
import { after, before, it } from 'node:test';
import { Server } from './server.mjs';

let server;
before(async () => {
  server = await Server.start({ seed: false });
});
after(() => server?.stop());

// Raw, so that nothing decodes the body behind the test's back.
function fetch_raw(path, headers = {}) {
  return new Promise((done, failed) => {
    get(server.url + path, { headers }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () =>
        done({
          status: response.statusCode,
          headers: response.headers,
          size: Buffer.concat(pieces).length,
          text: Buffer.concat(pieces).toString(),
        }),
      );
    }).on('error', failed);
  });
}
const scripts = (html) => [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((m) => m[1]);

it('sends a strict policy with the page and loads nothing inline', async () => {
  const page = await fetch_raw('/');
  assert.equal(page.status, 200);
  const policy = page.headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  assert.doesNotMatch(page.text, /<script>|<style|style=|onclick=/);
});

it('keeps the initial script below 100 kB and styles below 20 kB compressed', async () => {
  const { text } = await fetch_raw('/');
  const sizes = { js: 0, css: 0 };
  for (const path of scripts(text)) {
    const file = await fetch_raw(path, { 'Accept-Encoding': 'gzip' });
    assert.equal(file.headers['content-encoding'], 'gzip', path);
    sizes[path.split('.').at(-1)] += file.size;
  }
  assert.ok(sizes.js > 0 && sizes.js <= 100_000, `${sizes.js} bytes of script`);
  assert.ok(sizes.css > 0 && sizes.css <= 20_000, `${sizes.css} bytes of style`);
});

it('sends the form that the browser takes', async () => {
  const [path] = scripts((await fetch_raw('/')).text);
  const plain = await fetch_raw(path);
  const brotli = await fetch_raw(path, { 'Accept-Encoding': 'gzip, br' });
  const refused = await fetch_raw(path, {
    'Accept-Encoding': 'br;q=0, gzip;q=0.5',
  });
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(brotli.headers['content-encoding'], 'br');
  assert.equal(refused.headers['content-encoding'], 'gzip');
  assert.ok(brotli.size < plain.size);
  assert.equal(plain.headers.vary, 'Accept-Encoding');
});

it('lets hashed files be kept for ever and asks again for the page', async () => {
  const page = await fetch_raw('/');
  assert.equal(page.headers['cache-control'], 'no-cache');
  const again = await fetch_raw('/', { 'If-None-Match': page.headers.etag });
  assert.equal(again.status, 304);
  const [path] = scripts(page.text);
  assert.match((await fetch_raw(path)).headers['cache-control'], /immutable/);
  assert.equal((await fetch_raw('/assets/gone-12345678.js')).status, 404);
  assert.equal((await fetch_raw('/assets/../../records.db')).status, 404);
});

it('answers the page on every page address, and no API address', async () => {
  for (const path of [
    '/lake/raw/a/b.csv',
    '/models/x',
    '/endpoints/x',
    '/runs/1/2',
    '/pipelines/runs/1',
    '/admin',
  ]) {
    assert.match((await fetch_raw(path)).headers['content-type'], /text\/html/, path);
  }
  assert.equal((await fetch_raw('/endpoints/x/ping')).status, 401);
  assert.equal((await fetch_raw('/api/v1/me')).status, 401);
  assert.equal((await fetch_raw('/favicon.svg')).headers['content-type'], 'image/svg+xml');
});

it('answers a browser at no page with the page, and a program in its own form', async () => {
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  for (const path of ['/nothing', '/nothing/here', '/admins', '/endpoints/a/b']) {
    const lost = await fetch_raw(path, { Accept: browser });
    assert.equal(lost.status, 404, path);
    assert.match(lost.headers['content-type'], /text\/html/, path);
    assert.equal(lost.headers['cache-control'], 'no-store');
    assert.equal(lost.headers.etag, undefined);
    assert.match(lost.headers['content-security-policy'], /default-src 'none'/);
    assert.deepEqual(scripts(lost.text), scripts((await fetch_raw('/')).text), path);
  }
  for (const [path, accept] of [
    ['/nothing', '*/*'],
    ['/nothing', 'application/json'],
    ['/api/v1/nothing', browser],
    ['/api', browser],
  ]) {
    const lost = await fetch_raw(path, { Accept: accept });
    assert.equal(lost.status, 404, path);
    assert.equal(JSON.parse(lost.text).error.code, 'not_found', path);
  }
  const packed = await fetch_raw('/nothing', { Accept: browser, 'Accept-Encoding': 'br' });
  assert.deepEqual([packed.status, packed.headers['content-encoding']], [404, 'br']);
});
