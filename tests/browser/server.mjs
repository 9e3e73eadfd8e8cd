// A real server with a little of everything in it, made by stock clients, for the browser tests.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const binary = resolve(process.env.STRATA_BINARY ?? join(root, 'build/strata'));
export const python = process.env.STRATA_PYTHON ?? join(root, 'build/venv/bin/python');

// Resolves once `file` exists; rejects when the process ends before.
function appears(file, process) {
  return new Promise((done, failed) => {
    const watcher = watch(dirname(file), () => existsSync(file) && finish());
    const finish = () => {
      watcher.close();
      done();
    };
    process.once('exit', (code) =>
      failed(new Error(`the server ended with ${code} before it was ready`)),
    );
    if (existsSync(file)) finish();
  });
}

export class Server {
  // Where shells find `strata` and the stock clients.
  path = `${dirname(python)}:${dirname(binary)}:${process.env.PATH}`;

  static async start({ seed = true } = {}) {
    const server = new Server();
    server.data = mkdtempSync(join(tmpdir(), 'strata-browser-'));
    mkdirSync(join(server.data, 'run'));
    const log = openSync(join(server.data, 'stdout.txt'), 'a');
    const places = ['--data', server.data, '--http', '127.0.0.1:0', '--s3', '127.0.0.1:0'];
    const options = {
      stdio: ['ignore', log, log],
      env: { ...process.env, PATH: server.path },
    };
    server.process = spawn(binary, ['serve', ...places], options);
    const ready = join(server.data, 'run/endpoints.json');
    await appears(ready, server.process);
    server.url = JSON.parse(readFileSync(ready, 'utf8')).http;
    const { stdout } = await server.strata('env');
    server.env = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => {
          const [, name, value] = /^export (\w+)=(.*)$/.exec(line);
          return [name, value];
        }),
    );
    server.token = server.env.STRATA_TOKEN;
    if (!seed) return server;
    try {
      await server.seed();
    } catch (fault) {
      await server.stop();
      throw fault;
    }
    return server;
  }

  // The seeded server that run.mjs started for all files whose tests change nothing; a file that
  // runs by itself starts its own.
  static async shared() {
    if (!process.env.STRATA_BROWSER_SERVER) return Server.start();
    const server = Object.assign(new Server(), JSON.parse(process.env.STRATA_BROWSER_SERVER));
    server.stop = async () => {};
    return server;
  }

  strata(...args) {
    return run(binary, [...args, '--data', this.data]);
  }

  // Runs what a page shows, as one pastes it into a new shell.
  async shell(...lines) {
    const path = `${dirname(binary)}:${process.env.PATH}`;
    const env = { HOME: this.data, PATH: path };
    return (await run('bash', ['-euc', lines.join('\n')], { env })).stdout;
  }

  // What seed.py made: names and ids by which the tests find them.
  async seed() {
    const env = {
      ...process.env,
      ...this.env,
      GIT_PYTHON_REFRESH: 'quiet',
      MLFLOW_DISABLE_TELEMETRY: 'true',
    };
    const { stdout } = await run(python, [join(root, 'tests/browser/seed.py')], {
      env,
      maxBuffer: 1 << 24,
    });
    this.seeded = JSON.parse(stdout.trim().split('\n').at(-1));
  }

  async api(method, path, json) {
    const headers = {
      Authorization: `Bearer ${this.token}`,
      'Content-Type': 'application/json',
    };
    const body = json === undefined ? undefined : JSON.stringify(json);
    const response = await fetch(this.url + path, { method, headers, body });
    if (!response.ok)
      throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  // Ends the server and its node agent; fails when the server does not end well.
  async stop() {
    const ended = once(this.process, 'exit');
    await this.strata('stop', '--now');
    const [code] = await ended;
    assert.equal(code, 0, 'exit code of the server');
    rmSync(this.data, { recursive: true, force: true });
  }
}
