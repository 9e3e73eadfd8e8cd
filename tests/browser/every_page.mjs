// Every page in one theme, wide and narrow: shows what it should, and nothing on it is broken.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { check, launch, open, shoot, visit } from './browser.mjs';
import { pages } from './pages.mjs';
import { Server } from './server.mjs';
import { checked } from './shapes.mjs';

const sizes = [
  ['wide', 1280, 900],
  ['narrow', 390, 844],
];

export function test_every_page(theme) {
  let server;
  let browser;
  before(async () => {
    server = await Server.shared();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  for (const [size, width, height] of sizes) {
    it(`shows every page whole, with no fault on it: ${theme}, ${size}`, async (test) => {
      const page = await open(browser, server, { theme, width, height });
      const wrong = theme === 'light' && size === 'wide' ? await checked(page, server) : [];
      for (const [name, path, texts] of pages(server.seeded)) {
        await test.test(name, async () => {
          page.faults.length = 0;
          wrong.length = 0;
          await visit(page, server, path);
          const main = page.locator('main');
          for (const text of texts)
            await main.getByText(text).filter({ visible: true }).first().waitFor();
          await shoot(page, `${name}-${theme}-${width}`);
          await check(page, name);
          assert.deepEqual(wrong, [], `answers of ${name} against the OpenAPI document`);
        });
      }
      await page.context().close();
    });
  }
}
