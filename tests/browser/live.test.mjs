// Pages change by themselves when the server says so, and say when they can no longer hear it.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { after, afterEach, before, it } from 'node:test';
import { check, launch, open, shoot, visit } from './browser.mjs';
import { Server } from './server.mjs';

let server;
let browser;
let line;
let page;

// Between the browser and the server, to be cut and mended.
class Line {
  static async to(url) {
    const line = new Line();
    line.open = new Set();
    line.whole = true;
    line.listener = createServer((near) => {
      if (!line.whole) return near.destroy();
      const far = connect(Number(new URL(url).port), '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ]) {
        line.open.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => line.open.delete(from) && to.destroy());
        from.pipe(to);
      }
    });
    await new Promise((done) => line.listener.listen(0, '127.0.0.1', done));
    line.url = `http://127.0.0.1:${line.listener.address().port}`;
    return line;
  }
  cut() {
    this.whole = false;
    for (const socket of this.open) socket.destroy();
  }
  mend() {
    this.whole = true;
  }
}

before(async () => {
  server = await Server.start({ seed: false });
  browser = await launch();
  line = await Line.to(server.url);
});
after(async () => {
  await browser?.close();
  line?.cut();
  line?.listener.close();
  await server?.stop();
});
afterEach(async () => {
  line.mend();
  await page?.context().close();
});
const bucket = (name) => server.api('POST', '/api/v1/lake/buckets', { name });
const row = (name) => page.getByRole('link', { name, exact: true });

it('shows what was made elsewhere, without asking again and again', async () => {
  page = await open(browser, server);
  await visit(page, server, '/lake');
  let asked = 0;
  page.on('request', (request) => request.url().endsWith('/lake/buckets') && asked++);
  await bucket('made-elsewhere');
  await row('made-elsewhere').waitFor();
  assert.equal(asked, 1);
  await check(page, 'the lake after a change');
});

it('shows a run of a pipeline go from state to state', async () => {
  const flow = { name: 'moving', steps: { first: { command: ['true'] } } };
  const headers = { Authorization: `Bearer ${server.token}` };
  const body = JSON.stringify(flow);
  const path = `${server.url}/api/v1/flows/moving`;
  assert.equal((await fetch(path, { method: 'PUT', headers, body })).status, 200);
  page = await open(browser, server);
  await visit(page, server, '/pipelines');
  await server.api('POST', '/api/v1/flows/moving/runs', {});
  await page.getByRole('main').getByText('succeeded', { exact: true }).first().waitFor();
});

it('says why a trigger started no run', async () => {
  const put = (path, token, body) => {
    const headers = { Authorization: `Bearer ${token}` };
    return fetch(server.url + path, { method: 'PUT', headers, body: JSON.stringify(body) });
  };
  await server.api('POST', '/api/v1/users', { name: 'leaver', role: 'member' });
  const { token } = await server.api('POST', '/api/v1/tokens', { user: 'leaver' });
  await bucket('left');
  const flow = {
    name: 'orphan',
    steps: { first: { command: ['true'] } },
    triggers: [{ event: 'object.created', bucket: 'left' }],
  };
  assert.equal((await put('/api/v1/flows/orphan', token, flow)).status, 200);
  await server.api('POST', '/api/v1/users/leaver/disable', {});
  page = await open(browser, server);
  await visit(page, server, '/pipelines/orphan');
  assert.equal((await put('/api/v1/lake/buckets/left/objects/k', server.token, 1)).status, 200);
  const told = page.getByRole('alert').filter({ hasText: 'A trigger started no run' });
  await told.filter({ hasText: 'object.created left/k' }).waitFor();
  await check(page, 'a pipeline whose trigger failed');
});

// A page of the lake whose server has gone; the status that says so.
async function lose_connection() {
  page = await open(browser, { ...line, token: server.token });
  await visit(page, line, '/lake');
  await page.getByText('live', { exact: true }).waitFor();
  line.cut();
  const status = page.getByRole('status').filter({ hasText: 'Connection lost' });
  await status.waitFor();
  return status;
}

it('says that the connection is lost, and takes up what it missed', async () => {
  const status = await lose_connection();
  await shoot(page, 'lost-light-1280');
  // The broken requests are what was asked for.
  await check(page, 'a page that lost its server', /ERR_/);
  await bucket('made-in-the-dark');
  line.mend();
  await status.getByRole('button', { name: 'Try now' }).click();
  await row('made-in-the-dark').waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  await status.waitFor({ state: 'hidden' });
});

it('still says so on other pages, and of those that got no answer no age', async () => {
  const status = await lose_connection();
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  assert.equal(await status.count(), 1, 'what is lost stays lost');
  await page.getByText('no answer', { exact: true }).waitFor();
  assert.equal(await page.getByText(/as of/).count(), 0);
});

it('goes on with its connection when the address changes', async () => {
  page = await open(browser, server);
  let streams = 0;
  page.on('request', (request) => request.url().includes('/events/stream') && streams++);
  await visit(page, server, '/lake');
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  await bucket('after-the-turn');
  await page.getByRole('link', { name: 'Lake' }).click();
  await row('after-the-turn').waitFor();
  assert.equal(streams, 1);
});

it('sets an error apart from what was read before it', async () => {
  const endpoint = { name: 'e', model: 'models:/m/1', state: 'loading', live: null, owner: 'a' };
  page = await open(browser, server);
  let asked = 0;
  await page.route('**/api/v1/endpoints/e', (route) =>
    asked++ ? route.abort() : route.fulfill({ json: endpoint }),
  );
  await visit(page, server, '/endpoints/e');
  const alert = page.getByRole('alert');
  await alert.waitFor();
  const box = await alert.boundingBox();
  const label = await page.getByRole('term').first().boundingBox();
  assert.ok(label.y - (box.y + box.height) >= 8, 'the labels touch the error');
});
