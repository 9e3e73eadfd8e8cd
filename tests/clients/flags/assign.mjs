// Evaluates flags with the unmodified SDKs of npm. Reads {mode, host, key, token, flags, users}
// from standard input and prints one JSON document.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const packages = createRequire(join(root, 'web/package.json'));
const asked = JSON.parse(readFileSync(0, 'utf8'));

async function growthbook() {
  const { GrowthBookClient } = packages('@growthbook/growthbook');
  const client = new GrowthBookClient({ apiHost: asked.host, clientKey: asked.key });
  const { success, error } = await client.init({ timeout: 10000 });
  if (!success) throw error ?? new Error('no payload');
  const rows = asked.users.map((attributes) =>
    asked.flags.map((flag) => {
      const result = client.evalFeature(flag, { attributes });
      return [result.value, result.source, result.experimentResult?.key ?? null];
    }),
  );
  client.destroy();
  return rows;
}

async function openfeature() {
  const { OpenFeature } = packages('@openfeature/server-sdk');
  const { OFREPProvider } = packages('@openfeature/ofrep-provider');
  const provider = new OFREPProvider({
    baseUrl: asked.host,
    headersFactory: () => [['X-API-Key', asked.token]],
  });
  await OpenFeature.setProviderAndWait(provider);
  const client = OpenFeature.getClient();
  const rows = [];
  for (const { id, ...rest } of asked.users) {
    const context = { targetingKey: id, ...rest };
    const row = [];
    for (const flag of asked.flags) {
      const found = await client.getStringDetails(flag, 'fallback', context);
      row.push([found.value, found.reason, found.variant ?? null, found.errorCode ?? null]);
    }
    rows.push(row);
  }
  await OpenFeature.close();
  return rows;
}

async function remote() {
  const { GrowthBook } = packages('@growthbook/growthbook');
  const viewed = [];
  const rows = [];
  for (const attributes of asked.users) {
    const client = new GrowthBook({
      apiHost: asked.host,
      clientKey: asked.key,
      remoteEval: true,
      attributes,
      trackingCallback: (experiment, result) => viewed.push([experiment.key, result.key]),
    });
    const { success, error } = await client.init({ timeout: 10000, skipCache: true });
    if (!success) throw error ?? new Error('no payload');
    rows.push(asked.flags.map((flag) => client.evalFeature(flag).value));
    client.destroy();
  }
  return { rows, viewed };
}

async function track() {
  const { GrowthBook } = packages('@growthbook/growthbook');
  const { growthbookTrackingPlugin } = packages('@growthbook/growthbook/plugins');
  // The plug-in does not say when it has sent its events: this does.
  let left = 2 * asked.users.length;
  let all_sent;
  const sent = new Promise((resolve) => (all_sent = resolve));
  const send = globalThis.fetch;
  globalThis.fetch = async (url, options) => {
    const answer = await send(url, options);
    if (String(url).includes('/track') && answer.ok) left -= JSON.parse(options.body).length;
    if (left <= 0) all_sent();
    return answer;
  };
  for (const attributes of asked.users) {
    const client = new GrowthBook({
      apiHost: asked.host,
      clientKey: asked.key,
      attributes,
      plugins: [growthbookTrackingPlugin({ ingestorHost: asked.host, queueFlushInterval: 1 })],
    });
    const { success, error } = await client.init({ timeout: 10000 });
    if (!success) throw error ?? new Error('no payload');
    for (const flag of asked.flags) client.evalFeature(flag);
    client.logEvent('Bought', { amount: 7 });
  }
  await sent;
  return asked.users.length;
}

const modes = { growthbook, openfeature, remote, track };
process.stdout.write(JSON.stringify(await modes[asked.mode]()), () => process.exit(0));
