// What people do on the pages, from the first sign-in to moving an alias.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, it } from 'node:test';
import { check, launch, open, settled, shoot, visit } from './browser.mjs';
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
const button = (name, options = {}) => page.getByRole('button', { name, exact: true, ...options });

it('signs in with the printed link, and hides the token at once', async () => {
  page = await open(browser, server, { token: '' });
  await page.goto(`${server.url}/#token=${server.token}`);
  await settled(page);
  assert.equal(page.url(), `${server.url}/`);
  await page.getByText('admin', { exact: true }).first().waitFor();
  await page.reload();
  await settled(page);
  await check(page, 'home after the link');
});

it('signs in with a link that is opened where the sign-in page already stands', async () => {
  page = await open(browser, server, { token: '' });
  await page.goto(`${server.url}/`);
  await page.getByRole('heading', { name: 'Sign in to Strata' }).waitFor();
  await page.goto(`${server.url}/#token=${server.token}`);
  await page.getByText('admin', { exact: true }).first().waitFor();
  assert.equal(page.url(), `${server.url}/`);
});

it('refuses a wrong token with the reason, and takes the right one', async () => {
  page = await open(browser, server, { token: '' });
  await page.goto(`${server.url}/models`);
  await page.getByRole('heading', { name: 'Sign in to Strata' }).waitFor();
  await check(page, 'sign in');
  await shoot(page, 'sign-in-light-1280');
  await page.getByLabel('Token').fill('wrong');
  await button('Sign in').click();
  await page.getByRole('alert').getByText('The server did not take this token').waitFor();
  page.faults.length = 0; // the refusal is what was asked for
  await page.getByLabel('Token').fill(server.token);
  await button('Sign in').click();
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  await check(page, 'models after sign-in');
});

it('makes a bucket, uploads, shows, downloads and deletes an object', async () => {
  page = await open(browser, server);
  await visit(page, server, '/lake');
  await button('New bucket').click();
  await page.getByLabel('Name').fill('No');
  await page.getByText('From 3 to 63 characters.').waitFor();
  await page.getByLabel('Name').fill('made-here');
  await shoot(page, 'lake-new-light-1280');
  await button('Create bucket').click();
  await page.getByText('This bucket is empty').waitFor();
  const file = {
    name: 'a b&c.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('x,y\n1,2\n'),
  };
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByRole('link', { name: 'a b&c.csv' }).click();
  await page.getByRole('columnheader', { name: 'x text' }).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), button('Download').click()]);
  assert.equal(readFileSync(await download.path(), 'utf8'), 'x,y\n1,2\n');
  await button('Delete object').first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete object' }).click();
  await page.getByText('This bucket is empty').waitFor();
  await check(page, 'the bucket');
});

it('runs SQL, shows an error with its place, and finds both in the history', async () => {
  page = await open(browser, server);
  await visit(page, server, '/sql');
  const editor = page.getByRole('textbox', { name: 'SQL' });
  await page.locator('.cm-content').waitFor();
  const type = async (text) => {
    await editor.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.type(text);
    await page.keyboard.press('Escape');
  };
  await type('SELECT hour, flights FROM ml.by_hour ORDER BY hour LIMIT 5');
  await page.keyboard.press('Control+Enter');
  await page.getByText('5 rows').waitFor();
  await check(page, 'an answer');
  await type('SELECT hoour FROM flights');
  await button('Run').click();
  await page.getByRole('alert').getByText('hoour').first().waitFor();
  const told = await page.getByRole('alert').innerText();
  assert.equal(told.match(/column 8|1:8/g).length, 1, told);
  assert.equal(page.faults.filter((f) => f.startsWith('status 400')).length, 1);
  await shoot(page, 'sql-error-light-1280');
  page.faults.length = 0;
  await page.getByRole('link', { name: 'History' }).click();
  await page.getByRole('button', { name: /SELECT hoour/ }).waitFor();
  await check(page, 'the history');
});

it('scrolls 10,000 rows with few of them in the document', async () => {
  page = await open(browser, server);
  await visit(
    page,
    server,
    `/sql?run=1&q=${encodeURIComponent('SELECT range AS n FROM range(10000)')}`,
  );
  const grid = page.getByRole('group', { name: 'Rows of the answer' });
  await grid.evaluate((node) => node.scrollTo(0, node.scrollHeight));
  await grid.getByText('9999', { exact: true }).waitFor();
  const rows = await grid.locator('[role=row]').count();
  assert.ok(rows < 100, `${rows} rows in the document`);
});

it('runs a pipeline with a parameter and follows its log to the end', async () => {
  page = await open(browser, server);
  await visit(page, server, '/pipelines/daily');
  await button('Run now').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('trees').fill('many');
  await dialog.getByText('A whole number.').waitFor();
  await dialog.getByLabel('trees').fill('7');
  await dialog.getByRole('button', { name: 'Run now' }).click();
  await page.waitForURL(/\/pipelines\/runs\//);
  await page.getByText('trees = 7').waitFor();
  await page
    .getByRole('main')
    .getByText('failed', { exact: true })
    .first()
    .waitFor({ timeout: 30_000 });
  await page
    .getByRole('button', { name: /^train / })
    .last()
    .click();
  await page.getByRole('log', { name: 'Log of train' }).getByText('fitted 7 trees').waitFor();
  await check(page, 'the run');
});

it('says of a step that took less than a millisecond that it took little', async () => {
  const { runs } = await server.api('GET', '/api/v1/flow-runs?limit=1');
  const run = await server.api('GET', `/api/v1/flow-runs/${runs[0].id}`);
  for (const attempt of run.steps[0].attempts) attempt.finished = attempt.started;
  page = await open(browser, server);
  await page.route(`**/api/v1/flow-runs/${run.id}`, (route) => route.fulfill({ json: run }));
  await visit(page, server, `/pipelines/runs/${run.id}`);
  await page
    .getByRole('region', { name: `Step ${run.steps[0].step}` })
    .getByText('<1 ms')
    .waitFor();
});

// Starts a run that goes on until it is cancelled.
async function run_slow() {
  const body = 'name: slow\nsteps:\n  wait: {command: [sleep, "600"]}\n';
  const headers = { Authorization: `Bearer ${server.token}` };
  const stored = await fetch(`${server.url}/api/v1/flows/slow`, { method: 'PUT', headers, body });
  assert.equal(stored.status, 200);
  return server.api('POST', '/api/v1/flows/slow/runs', {});
}

it('cancels a running pipeline', async () => {
  const run = await run_slow();
  page = await open(browser, server);
  await visit(page, server, `/pipelines/runs/${run.id}`);
  await page.getByRole('main').getByText('running', { exact: true }).first().waitFor();
  await shoot(page, 'pipeline-running-light-1280');
  await button('Cancel').click();
  await page
    .getByRole('main')
    .getByText('cancelled', { exact: true })
    .first()
    .waitFor({ timeout: 30_000 });
});

it('says that a run has ended which is to be cancelled', async () => {
  const run = await run_slow();
  page = await open(browser, server);
  await visit(page, server, `/pipelines/runs/${run.id}`);
  // The run ends while the call is on its way.
  await page.route('**/cancel', async (route) => {
    await server.strata('flow', 'cancel', run.id);
    await server.strata('flow', 'logs', run.id, '--follow');
    await route.continue();
  });
  await button('Cancel').click();
  const refusal = page.getByRole('alert');
  await refusal.getByText('has ended already: cancelled').waitFor();
  assert.equal(await refusal.getByRole('button').count(), 0, 'nothing to try again');
  await button('Cancel').waitFor({ state: 'detached' });
  await check(page, 'a run that was not cancelled', /409/);
  await page.reload();
  await settled(page);
  assert.equal(await button('Cancel').count(), 0);
});

it('chooses runs, columns and a filter, and compares', async () => {
  page = await open(browser, server);
  await visit(page, server, `/runs/${server.seeded.experiment}`);
  await page.getByLabel('Filter runs').fill("metrics.auc > 0.67 and params.num_leaves != '7'");
  await page.getByText('2 runs').waitFor();
  assert.match(page.url(), /filter=/);
  await page.getByRole('checkbox', { name: 'Compare lightgbm-15-leaves' }).check();
  await page.getByRole('checkbox', { name: 'Compare lightgbm-31-leaves' }).check();
  await page.getByRole('link', { name: 'Compare 2' }).click();
  await page.getByRole('heading', { name: 'Compare runs' }).waitFor();
  await page.getByRole('cell', { name: 'num_leaves' }).waitFor();
  await page.goBack();
  await page.getByText('2 runs').waitFor();
});

it('moves an alias, says which endpoints follow, and they do', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models/flights-late');
  await button('Move alias').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Alias').fill('champion');
  await dialog.getByLabel('To version').selectOption('1');
  await dialog.getByText('flights', { exact: true }).waitFor();
  await shoot(page, 'model-move-light-1280');
  await check(page, 'the dialog');
  await dialog.getByRole('button', { name: 'Move alias' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await visit(page, server, '/endpoints/flights');
  await page
    .getByRole('main')
    .getByRole('link', { name: 'v1', exact: true })
    .waitFor({ timeout: 30_000 });
});

it('asks a model and explains its answer', async () => {
  page = await open(browser, server);
  await visit(page, server, '/endpoints/flights?tab=try');
  await button('Predict').click();
  await page.getByRole('link', { name: 'Why this answer?' }).click();
  await page.getByRole('heading', { name: 'Why' }).waitFor();
  const lineage = page.getByRole('group', { name: 'Lineage' });
  for (const text of ['endpoint', 'model', 'run']) await lineage.getByText(text).first().waitFor();
  await shoot(page, 'why-light-1280');
  await check(page, 'the prediction');
});

it('makes an endpoint and deletes it by its name', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models/flights-late');
  await page.getByRole('link', { name: 'Serve' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('second');
  await page.getByRole('dialog').getByRole('button', { name: 'Create endpoint' }).click();
  await page.getByRole('main').getByText('ready', { exact: true }).waitFor({ timeout: 30_000 });
  await button('Delete endpoint').first().click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByRole('button', { name: 'Delete endpoint' }).isDisabled(), true);
  await dialog.getByLabel('Type the name to delete it').fill('second');
  await dialog.getByRole('button', { name: 'Delete endpoint' }).click();
  await page.getByRole('heading', { name: 'Endpoints', level: 1 }).waitFor();
});

it('makes a user and a token shown once, which works until it is revoked', async () => {
  page = await open(browser, server);
  await visit(page, server, '/admin');
  await button('New user').click();
  await page.getByRole('dialog').getByLabel('Name').fill('grace');
  await button('Create user').click();
  await page.getByRole('cell', { name: 'grace' }).waitFor();
  await page.getByRole('link', { name: 'Tokens' }).click();
  await button('New token').click();
  await page.getByRole('dialog').getByLabel('User').selectOption('grace');
  await button('Create token').click();
  const token = await page.getByRole('dialog').locator('code').first().innerText();
  await check(page, 'the secrets');
  const me = () =>
    fetch(`${server.url}/api/v1/me`, {
      headers: { Authorization: `Bearer ${token}` },
    });
  assert.equal((await (await me()).json()).user, 'grace');
  await button('Done').click();
  const row = page.getByRole('row').filter({ hasText: 'grace' });
  await row.getByRole('button', { name: 'Revoke' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke token' }).click();
  await row.getByText('revoked').waitFor();
  assert.equal((await me()).status, 401);
});

it('makes a team and a project and decides who is in them', async () => {
  await server.api('POST', '/api/v1/users', { name: 'noor' });
  page = await open(browser, server);
  await visit(page, server, '/admin?tab=teams&code=1');
  const main = page.getByRole('main');
  const make = async (what, name) => {
    await button(`New ${what}`).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByRole('button', { name: `Create ${what}` }).click();
    await main.getByRole('heading', { name: `Members of ${name}` }).waitFor();
  };
  const named = (kind, name) =>
    server
      .api('GET', `/api/v1/${kind}s`)
      .then((answer) => answer[`${kind}s`].find((one) => one.name === name));

  await make('team', 'analysts');
  await main.getByText('Nobody is in it yet.').waitFor();
  await main.getByText('strata team add analysts USER').waitFor();
  await main.getByLabel('Name of the user').fill('nobody-of-that-name');
  await button('Add').click();
  await page.getByRole('alert').getByText('nobody-of-that-name').waitFor();
  page.faults.length = 0; // the refusal is what was asked for
  await main.getByLabel('Name of the user').fill('noor');
  await button('Add').click();
  await main.getByRole('group', { name: 'Members of analysts' }).getByText('noor').waitFor();
  assert.deepEqual((await named('team', 'analysts')).members, ['noor']);
  await check(page, 'a team');

  await page.getByRole('link', { name: 'Projects' }).click();
  await make('project', 'planning');
  await main.getByText('strata project grant planning --user NAME --role member').waitFor();
  await main.getByLabel('Kind').selectOption('team');
  await main.getByLabel('Name of the team').fill('analysts');
  await main.getByLabel('Role', { exact: true }).selectOption('viewer');
  await button('Add').click();
  const role = main.getByLabel('Role of analysts');
  await role.waitFor();
  assert.equal(await role.inputValue(), 'viewer');
  await Promise.all([page.waitForResponse(/planning\/members/), role.selectOption('admin')]);
  assert.deepEqual((await named('project', 'planning')).members, [
    { kind: 'team', name: 'analysts', role: 'admin' },
  ]);
  await shoot(page, 'admin-project-light-1280');
  await check(page, 'a project');
  await button('Remove analysts').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await role.waitFor({ state: 'detached' });
  assert.deepEqual((await named('project', 'planning')).members, []);
  assert.match(page.url(), /tab=projects.*of=planning/);
});

it('lets the administrator of one project alone decide over its members', async () => {
  await server.api('POST', '/api/v1/users', { name: 'omar' });
  await server.api('POST', '/api/v1/projects', { name: 'fleet' });
  const grant = { name: 'omar', role: 'admin' };
  await server.api('POST', '/api/v1/projects/fleet/members', grant);
  const { token } = await server.api('POST', '/api/v1/tokens', { user: 'omar' });
  page = await open(browser, server, { token });
  await visit(page, server, '/admin?tab=projects&of=fleet');
  assert.equal(await button('New project').count(), 0);
  await page.getByLabel('Name of the user').fill('ada');
  await button('Add').click();
  await page.getByLabel('Role of ada').waitFor();
  await page.getByRole('link', { name: 'default', exact: true }).click();
  await page.getByRole('heading', { name: 'Members of default' }).waitFor();
  assert.equal(await button('Add').count(), 0);
  await check(page, 'projects of who administers one');
});

it('goes anywhere by keys', async () => {
  page = await open(browser, server);
  await visit(page, server, '/');
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
  await page.getByRole('link', { name: 'flights-late' }).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/models\/flights-late/);
  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keys' }).waitFor();
  await check(page, 'the keys');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Search' }).fill('dail');
  await page.getByRole('option', { name: /daily/ }).waitFor();
  await shoot(page, 'palette-light-1280');
  await check(page, 'the palette');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/pipelines\/daily/);
});

it('keeps the time range in the address, and links keep it', async () => {
  page = await open(browser, server);
  await visit(page, server, '/endpoints/flights?tab=traffic');
  await page.getByText(/requests in all/).waitFor();
  await page.getByLabel('Time range').selectOption('Last 24 hours');
  await page.waitForURL(/range=24h/);
  await page.getByRole('link', { name: 'SQL', exact: true }).click();
  await page.waitForURL(/\/sql\?range=24h/);
  await page.getByRole('link', { name: 'History' }).click();
  await page
    .getByRole('button', { name: /CREATE TABLE/ })
    .first()
    .waitFor();
  const page_queries = page.getByRole('button', { name: /strata\.predictions/ });
  assert.equal(await page_queries.count(), 0);
  assert.equal(await page.getByLabel('Time range').inputValue(), '24h');
});

it('filters by the slash key', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models');
  await page.keyboard.press('/');
  await page.keyboard.type('nothing-is-called-so');
  await page.waitForURL(/filter=nothing-is-called-so/);
  await page.getByRole('link', { name: 'flights-late' }).waitFor({ state: 'hidden' });
});

it("follows the links that mlflow's client prints", async () => {
  page = await open(browser, server);
  const { experiment, runs } = server.seeded;
  const link = `${server.url}/#/experiments/${experiment}/runs/${runs[0]}`;
  await page.goto(link);
  await page.getByRole('heading', { name: 'lightgbm-7-leaves' }).waitFor();
  assert.equal(page.url(), `${server.url}/runs/${experiment}/${runs[0]}`);
  await check(page, 'a run by its link');
  // Where the home page stands, only the fragment changes and nothing is loaded anew.
  await visit(page, server, '/');
  await page.evaluate(() => (window.stayed = true));
  await page.goto(link);
  await page.getByRole('heading', { name: 'lightgbm-7-leaves' }).waitFor();
  assert.equal(page.url(), `${server.url}/runs/${experiment}/${runs[0]}`);
  assert.equal(await page.evaluate(() => window.stayed), true);
  await page.goBack();
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
});

it('asks to sign in before it follows such a link', async () => {
  page = await open(browser, server, { token: '' });
  const { experiment, runs } = server.seeded;
  await page.goto(`${server.url}/#/experiments/${experiment}/runs/${runs[0]}`);
  await page.getByLabel('Token').fill(server.token);
  await button('Sign in').click();
  await page.getByRole('heading', { name: 'lightgbm-7-leaves' }).waitFor();
});

it('says at an address of no page that there is none, with a way home', async () => {
  page = await open(browser, server);
  const answer = await page.goto(`${server.url}/nothing/here`);
  assert.equal(answer.status(), 404);
  await page.getByRole('heading', { name: 'There is no page here' }).waitFor();
  await page.getByRole('main').getByText('/nothing/here').waitFor();
  await check(page, 'no page', /404/);
  await page.getByRole('main').getByRole('link', { name: 'Home' }).click();
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  assert.equal(page.url(), `${server.url}/`);
});

it('shows an error with its request and the rest of the page', async () => {
  page = await open(browser, server);
  await visit(page, server, '/models/not-a-model');
  const alert = page.getByRole('alert');
  await alert.getByText('not-a-model').first().waitFor();
  await alert.getByText(/Request/).waitFor();
  await alert.getByRole('button', { name: 'Retry' }).waitFor();
  await shoot(page, 'error-light-1280');
  assert.ok(
    page.faults.every((f) => f.includes('404')),
    page.faults.join('\n'),
  );
});
it('shows all of a chain of lineage at once, and else the thing in question', async () => {
  page = await open(browser, server);
  await visit(page, server, `/lineage?ref=endpoint:flights`);
  const graph = page.getByRole('group', { name: 'Lineage', exact: true });
  await graph.locator('.node').first().waitFor();
  const hidden = () =>
    graph.evaluate((scroller) => {
      const frame = scroller.getBoundingClientRect();
      return [...scroller.querySelectorAll('.node')]
        .filter((node) => {
          const box = node.getBoundingClientRect();
          return box.left < frame.left - 1 || box.right > frame.right + 1;
        })
        .map((node) => [node.title, node.classList.contains('focus')]);
    });
  const layers = await graph.evaluate(
    (scroller) => new Set([...scroller.querySelectorAll('.node')].map((n) => n.style.left)).size,
  );
  assert.ok(layers >= 5, `${layers} layers`);
  assert.deepEqual(await hidden(), []);
  await page.setViewportSize({ width: 900, height: 700 });
  await page.waitForFunction(() => {
    const scroller = document.querySelector('[role=group][aria-label=Lineage]');
    const frame = scroller.getBoundingClientRect();
    const box = scroller.querySelector('.node.focus').getBoundingClientRect();
    return box.left >= frame.left - 1 && box.right <= frame.right + 1;
  });
});

it('shows how a shell is set up, in the project of the page', async () => {
  await server.api('POST', '/api/v1/projects', { name: 'pricing' });
  page = await open(browser, server);
  for (const [query, project] of [
    ['', 'default'],
    ['&project=pricing', 'pricing'],
  ]) {
    await visit(page, server, `/endpoints?code=1${query}`);
    const commands = page.getByRole('region', { name: 'As CLI, curl, Python' });
    await commands.getByText(`--data ${server.data}`).waitFor();
    const setup = await commands.locator('.setup code').innerText();
    const said = JSON.parse(await server.shell(setup, 'strata project list -o json'));
    assert.equal(said.projects.find((p) => p.current).name, project, setup);
    await commands.getByRole('button', { name: 'curl' }).click();
    const curl = await commands.locator('pre').innerText();
    const answer = JSON.parse(await server.shell(setup, `${curl} -s`));
    const names = answer.endpoints.map((endpoint) => endpoint.name);
    assert.equal(names.includes('flights'), project === 'default');
  }
  await check(page, 'the commands in another project');
  await visit(page, server, '/?project=pricing'); // where nothing is yet
  const first = page.getByRole('region', { name: 'Begin here' }).locator('code').first();
  await first.getByText('--project pricing').waitFor();
  const setup = await first.innerText();
  assert.equal(await server.shell(setup, 'echo $STRATA_PROJECT'), 'pricing\n');
});

it('shows who is no administrator how a shell is set up with a token', async () => {
  await server.api('POST', '/api/v1/users', { name: 'reader', role: 'viewer' });
  const { token } = await server.api('POST', '/api/v1/tokens', { user: 'reader' });
  page = await open(browser, server, { token });
  await visit(page, server, '/endpoints?code=1');
  const commands = page.getByRole('region', { name: 'As CLI, curl, Python' });
  await commands.getByText('export STRATA_URL').waitFor();
  const setup = await commands.locator('.setup code').innerText();
  assert.ok(!setup.includes(server.data));
  const listed = await server.shell(setup.replace('YOUR-TOKEN', token), 'strata endpoint list');
  assert.match(listed, /flights/);
});
