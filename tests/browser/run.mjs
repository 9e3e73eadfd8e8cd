// Runs all files of browser tests, two at a time. Those that only read share one seeded server.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Server } from './server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const files = readdirSync(here)
  .filter((name) => name.endsWith('.test.mjs'))
  .map((name) => join(here, name));
const server = await Server.start();
const { url, token, env, data, seeded } = server;
const options = ['--test', '--test-concurrency=2', ...process.argv.slice(2)];
const tests = spawn(process.execPath, [...options, ...files], {
  stdio: 'inherit',
  env: {
    ...process.env,
    STRATA_BROWSER_SERVER: JSON.stringify({ url, token, env, data, seeded }),
  },
});
const [code] = await once(tests, 'exit');
await server.stop();
process.exitCode = code ?? 1;
