// The five questions on a model's page: what they answer, why, as of when, and that they change by
// themselves.

import assert from 'node:assert/strict';
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
const kModel = '/models/flights-late';
const kQuestions = [
  'Who is responsible?',
  'Does the right binary answer?',
  'Are the features right?',
  'Is the code up to date?',
  'What happened to the data pipeline?',
];
const panel = () => page.getByRole('region', { name: 'Verdicts' });
const row = (question) =>
  panel()
    .getByRole('listitem')
    .filter({ has: page.getByRole('heading', { name: question }) });
const explain = (query = '') => server.api('GET', `/api/v1${kModel}/explain${query}`);

it('shows each question with its verdict and the worst evidence', async () => {
  const { questions } = await explain();
  assert.deepEqual(
    questions.map((q) => q.text),
    kQuestions,
  );
  for (const theme of ['light', 'dark']) {
    page = await open(browser, server, { theme });
    await visit(page, server, kModel);
    for (const { text, verdict, evidence } of questions) {
      await row(text).getByText(verdict, { exact: true }).first().waitFor();
      await row(text).getByText(evidence[0].text, { exact: true }).waitFor();
    }
    assert.match(await row(kQuestions[1]).innerText(), /^good\s/);
    await panel().getByText('Endpoint flights answers with v2 since').waitFor();
    await shoot(page, `model-verdicts-${theme}-1280`);
    await check(page, `the verdicts, ${theme}`);
    await page.context().close();
  }
});

it('unfolds the rest of the evidence by keyboard, whose references lead on', async () => {
  const { questions } = await explain();
  const owner = questions[0].evidence;
  assert.ok(owner.length > 1);
  page = await open(browser, server, { width: 390, height: 844 });
  await visit(page, server, kModel);
  const rest = row(kQuestions[0]).getByText(owner[1].text, { exact: true });
  assert.equal(await rest.isVisible(), false);
  // From the last of the panel's controls before it.
  await panel().getByLabel('As of').focus();
  const focused = () => page.evaluate(() => document.activeElement.tagName);
  for (let i = 0; i < 12 && (await focused()) !== 'SUMMARY'; ++i) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await rest.waitFor();
  await shoot(page, 'model-verdicts-unfolded-light-390');
  await check(page, 'unfolded evidence');
  await row(kQuestions[1]).getByRole('link', { name: 'endpoint flights' }).click();
  await page.getByRole('heading', { name: 'Lineage', level: 1 }).waitFor();
  await settled(page);
  await check(page, 'the lineage that evidence names');
});

it('answers about the alias that is chosen, and names the command that does so', async () => {
  page = await open(browser, server);
  await visit(page, server, `${kModel}?code=1`);
  const commands = page.getByRole('region', { name: 'As CLI, curl, Python' });
  // The server chose: so does the command.
  assert.match(await commands.innerText(), /strata model explain flights-late\n/);
  await panel().getByLabel('About').selectOption('@challenger');
  await row(kQuestions[1]).getByText('no endpoint follows it').waitFor();
  await row(kQuestions[1]).getByText('unknown', { exact: true }).waitFor();
  await commands.getByText('strata model explain flights-late@challenger').waitFor();
  assert.match(page.url(), /subject=%40challenger/);
  await check(page, 'the verdicts of another alias');
});

it('says why nothing is known of a time before the model, and comes back to now', async () => {
  for (const theme of ['light', 'dark']) {
    page = await open(browser, server, { theme });
    await visit(page, server, kModel);
    await panel().getByLabel('As of').fill('2001-02-03T04:05:06');
    await panel().getByRole('button', { name: 'Show then' }).click();
    const alert = panel().getByRole('alert');
    await alert.filter({ hasText: 'nothing was recorded about @champion of model' }).waitFor();
    assert.equal(await row(kQuestions[0]).count(), 0, 'verdicts of now under a time of old');
    await shoot(page, `model-verdicts-before-${theme}-1280`);
    await check(page, `a time before the model, ${theme}`, /404/);
    await panel().getByRole('button', { name: 'Show now' }).click();
    await row(kQuestions[0]).waitFor();
    assert.equal(await alert.count(), 0);
    await page.context().close();
  }
});

it('says what the bearer of a narrow token lacks', async () => {
  const wish = { user: 'ada', scope: 'model:read' };
  const { token } = await server.api('POST', '/api/v1/tokens', wish);
  page = await open(browser, server, { token });
  await visit(page, server, kModel);
  await panel().getByText('Needs lineage:read').waitFor();
  assert.equal(await panel().getByRole('alert').count(), 0);
});

it('changes when a verdict does, and still tells what it was', async () => {
  page = await open(browser, server);
  await visit(page, server, kModel);
  const responsible = row(kQuestions[0]);
  await page.getByText('live', { exact: true }).waitFor();
  await server.strata('model', 'owner', 'flights-late', 'ada', '--team', 'delays');
  await responsible.getByText('ada of team delays owns it').waitFor();
  await responsible.getByText('good', { exact: true }).first().waitFor();
  const before = new Date().toISOString();
  await server.api('POST', '/api/v1/users/ada/disable', {});
  await responsible.getByText('the owner ada is disabled').waitFor();
  await responsible.getByText('bad', { exact: true }).first().waitFor();
  await check(page, 'a verdict that turned');
  await visit(page, server, `${kModel}?at=${before}`);
  await responsible.getByText('ada of team delays owns it').waitFor();
  await check(page, 'the verdicts before that');
});
