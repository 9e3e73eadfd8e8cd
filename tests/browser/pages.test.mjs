// Every page, light and dark, wide and narrow: shows what it should, and nothing on it is broken.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { check, launch, open, shoot, visit } from './browser.mjs';
import { pages } from './pages.mjs';
import { Server } from './server.mjs';

let server;
let browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const sizes = [
  ['wide', 1280, 900],
  ['narrow', 390, 844],
];
for (const theme of ['light', 'dark']) {
  for (const [size, width, height] of sizes) {
    describe(`${theme}, ${size}`, () => {
      it('shows every page whole, with no fault on it', async (test) => {
        for (const [name, path, texts] of pages(server.seeded)) {
          await test.test(name, async () => {
            const page = await open(browser, server, { theme, width, height });
            try {
              await visit(page, server, path);
              for (const text of texts) {
                await page
                  .locator('main')
                  .getByText(text)
                  .filter({ visible: true })
                  .first()
                  .waitFor();
              }
              await shoot(page, `${name}-${theme}-${width}`);
              await check(page, name);
            } finally {
              await page.context().close();
            }
          });
        }
      });
    });
  }
}

it('answers the commands of every page with the page', async () => {
  const page = await open(browser, server);
  await visit(page, server, '/endpoints/flights?code=1');
  const commands = page.getByRole('region', { name: 'As CLI, curl, Python' });
  await commands.getByRole('button', { name: 'curl' }).click();
  const shown = await commands.locator('pre').innerText();
  assert.match(shown, /\/endpoints\/flights\/invocations/);
  await page.context().close();
});
