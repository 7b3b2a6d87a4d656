/**
 * The promise: a Prometheus as it comes scrapes the service, its counters are what was done, the alert rules are sound, evaluate
 * and fire; and nobody without the token reads.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rootFolder } from '../bench/root-folder.ts';
import { createGroup, groupAvailable } from '../testing/elasticache-requests.ts';
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { promtool, startPrometheus, type TestPrometheus } from '../testing/prometheus.ts';
import { waitFor } from '../testing/wait-for.ts';

const token = 'a-token-for-those-who-scrape';
const password = 'a-token-of-the-group';
const rulesFile = join(rootFolder, 'deploy', 'prometheus', 'larder.rules.yml');
let folder: string;
let larder: TestLarder;
let prometheus: TestPrometheus;
let metrics: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'larder-metrics-token-'));
  const file = join(folder, 'token');
  writeFileSync(file, `${token}\n`);
  larder = await startLarder({ flags: ['--metrics-listen', '127.0.0.1:0', '--metrics-token-file', file] });
  metrics = /Metrics for Prometheus: (\S+)\n/.exec(larder.output)![1]!;
  prometheus = await startPrometheus({ target: new URL(metrics).host, rulesFile, token });
});

afterAll(async () => {
  await prometheus?.stop();
  await larder?.remove();
  rmSync(folder, { recursive: true });
});

const read = (authorization?: string) =>
  fetch(metrics, authorization === undefined ? {} : { headers: { authorization } });

test('the rules are sound', async () => {
  const { code, output } = await promtool(['check', 'rules', rulesFile]);
  expect(output).toContain('SUCCESS');
  expect(code).toBe(0);
});

test('only with the token, and only what is there', async () => {
  expect((await read()).status).toBe(401);
  expect((await read('Bearer wrong')).status).toBe(401);
  expect((await fetch(new URL('/', metrics), { headers: { authorization: `Bearer ${token}` } })).status).toBe(
    404,
  );
  const answer = await read(`Bearer ${token}`);
  expect(answer.headers.get('content-type')).toContain('application/openmetrics-text');
  expect((await answer.text()).endsWith('# EOF\n')).toBe(true);
});

test('counters are what was done to the cache, and an alert fires for what went wrong', async () => {
  await createGroup(larder, 'shop', {
    NumCacheClusters: 2,
    TransitEncryptionEnabled: true,
    AuthToken: password,
  });
  const group = await groupAvailable(larder, 'shop');
  const { Address: host, Port: port } = group.NodeGroups![0]!.PrimaryEndpoint!;
  const connection = { host: host!, port: port!, tls: { rejectUnauthorized: false } };
  const client = new Redis({ ...connection, password });
  const primary = '{replication_group="shop", cache_cluster="shop-001", role="primary"}';
  const value = async (expr: string) => Number((await prometheus.query(expr))[0]?.value[1] ?? Number.NaN);
  const until = (expr: string, wanted: number) =>
    waitFor(
      () => value(expr),
      (found) => found === wanted,
      { what: `${expr} to be ${wanted}`, limitMs: 30_000 },
    );
  await until(`larder_cache_hits_total${primary}`, 0);
  await until(`larder_authentication_failures_total${primary}`, 0);
  await client.set('a', '1');
  for (let index = 0; index < 70; index += 1) await client.get('a');
  for (let index = 0; index < 30; index += 1) await client.get('none');
  await until(`larder_cache_hits_total${primary}`, 70);
  await until(`larder_cache_misses_total${primary}`, 30);
  await until(`larder_curr_items${primary}`, 1);
  expect(await value('sum(larder_node_up{replication_group="shop"})')).toBe(2);
  expect(
    await value('larder_successful_read_request_latency_microseconds_count{cache_cluster="shop-001"}'),
  ).toBeGreaterThanOrEqual(100);
  expect(await value('sum(larder_api_requests_total{operation="CreateReplicationGroup", code="OK"})')).toBe(
    1,
  );

  const stranger = new Redis({
    ...connection,
    password: 'wrong',
    retryStrategy: () => null,
    lazyConnect: true,
  });
  await stranger.connect().catch(() => undefined);
  stranger.disconnect();
  await until(`larder_authentication_failures_total${primary}`, 1);
  const firing = await waitFor(
    async () => {
      const { alerts } = (await prometheus.get('alerts')) as {
        alerts: { state: string; labels: Record<string, string>; annotations: Record<string, string> }[];
      };
      return alerts.filter(({ labels }) => labels.alertname === 'LarderAuthenticationFailures');
    },
    (found) => found.some(({ state }) => state === 'firing'),
    { what: 'the alert to fire' },
  );
  expect(firing).toMatchObject([
    {
      labels: { cache_cluster: 'shop-001', severity: 'warning' },
      annotations: { summary: 'Logins to shop-001/0001 failed' },
    },
  ]);
  client.disconnect();

  const { groups } = (await prometheus.get('rules')) as {
    groups: { rules: { name: string; health: string; lastError?: string }[] }[];
  };
  const rules = groups.flatMap((each) => each.rules);
  expect(rules.length).toBeGreaterThan(15);
  for (const rule of rules)
    expect([rule.name, rule.health, rule.lastError]).toEqual([rule.name, 'ok', undefined]);
}, 120_000);

test.each([
  ['an address beyond loopback needs a token', ['--metrics-listen', '0.0.0.0:0']],
  ['a name is no address', ['--metrics-listen', 'localhost:1']],
  ['a token alone says nothing', ['--metrics-token-file', '/dev/null']],
])('%s', async (_, flags) => {
  const { code } = await larderCommand([
    'server',
    '--data-dir',
    join(folder, 'data'),
    '--port',
    '0',
    ...flags,
  ]);
  expect(code).toBe(2);
});
