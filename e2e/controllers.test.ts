/** The promise: one of several controllers leads; when it dies the next one heals what broke meanwhile. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeReplicationGroupsCommand, ElastiCacheServiceException } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGroup, describeGroup, groupAvailable, primaryOf } from '../testing/elasticache-requests.ts';
import { hostStates, startFleet, type TestFleet } from '../testing/fleet.ts';
import { canMakeHosts } from '../testing/host-network.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';
import { missingOf, writeProbe } from '../testing/write-probe.ts';

const possible = canMakeHosts();
if (!possible) {
  console.warn(
    'SKIPPED: e2e/controllers.test.ts makes network namespaces, which needs root. Nothing about several controllers is tested.',
  );
}

describe.skipIf(!possible)('two controllers and three hosts', () => {
  const clients = redisClients();
  let postgres: TestPostgres;
  let folder: string;
  let fleet: TestFleet;
  let standby: TestLarder;

  beforeAll(async () => {
    postgres = await startTestPostgres();
    folder = await mkdtemp(join(tmpdir(), 'larder-controllers-'));
    const urlFile = join(folder, 'url');
    const { host, port, user, password } = postgres.address;
    await writeFile(
      urlFile,
      `postgres://${user}${password === undefined ? '' : `:${password}`}@${host}:${port}/postgres`,
    );
    fleet = await startFleet({ logLevel: 'info', serverFlags: ['--database-url-file', urlFile] });
    standby = await startLarder({
      logLevel: 'info',
      flags: fleet.serverFlags,
      async prepare(directory) {
        for (const name of ['secret.key', 'tls', 'fleet-tls', 'access-keys.json']) {
          await cp(join(fleet.larder.dataDirectory, name), join(directory, name), { recursive: true });
        }
      },
    });
  });

  afterAll(async () => {
    clients.close();
    await standby?.remove();
    await fleet?.remove();
    await postgres?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  test('one that stands by says so, and changes nothing', async () => {
    await createGroup(fleet.larder, 'shop', { NumCacheClusters: 3, AutomaticFailoverEnabled: true });
    await groupAvailable(fleet.larder, 'shop');
    const refused = await standby.client
      .send(new DescribeReplicationGroupsCommand({}))
      .catch((error: Error) => error);
    expect(refused).toBeInstanceOf(ElastiCacheServiceException);
    expect(refused).toMatchObject({ name: 'ServiceUnavailable', $metadata: { httpStatusCode: 503 } });
    const health = await fetch(new URL('/health', standby.access.endpoint));
    expect([health.status, await health.json()]).toEqual([503, { status: 'standby' }]);
  });

  test('the one that leads and a primary are killed together: the other one leads, and the group heals', async () => {
    const group = await describeGroup(fleet.larder, 'shop');
    const before = primaryOf(group)!;
    const writer = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!, {
      retryStrategy: () => 2,
      maxRetriesPerRequest: 0,
      commandTimeout: 300,
    });
    const probe = writeProbe('both', (key) => writer.set(key, key));
    await waitFor(
      () => probe.count,
      (count) => count > 100,
      { what: '100 writes' },
    );
    const { pid } = fleet.hostOf(before)!.processes()[0]!;
    await Promise.all([fleet.larder.kill(), process.kill(pid, 'SIGKILL')]);
    const sofar = probe.count;
    await waitFor(
      () => probe.count,
      (count) => count > sofar + 100,
      { what: '100 more writes' },
    );
    const { acknowledged, longestGapMs } = await probe.stop();
    console.log(
      `controller and primary killed: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`,
    );
    expect(await missingOf(acknowledged, (keys) => writer.mget([...keys]))).toEqual([]);
    const after = await waitFor(
      () => describeGroup(standby, 'shop'),
      (seen) => primaryOf(seen) !== undefined,
      { what: 'a primary to be told' },
    );
    expect(primaryOf(after)).not.toBe(before);
    expect(await hostStates(standby)).toEqual({ h1: 'connected', h2: 'connected', h3: 'connected' });
  });

  test('the killed one comes back and stands by', async () => {
    await fleet.larder.start();
    const health = await fetch(new URL('/health', fleet.larder.access.endpoint));
    expect(health.status).toBe(503);
    await createGroup(standby, 'more', { NumCacheClusters: 1 });
    await groupAvailable(standby, 'more');
  });

  test('one with other secrets is refused, and says what to do', async () => {
    const stranger = await startLarder({ logLevel: 'info', flags: fleet.serverFlags });
    try {
      await fleet.larder.kill();
      await standby.kill();
      await waitFor(
        () => stranger.ended,
        (ended) => ended,
        { what: 'the stranger to end' },
      );
      expect(stranger.log).toMatch(/secret\.key is not that of the others\. Copy it/);
    } finally {
      await stranger.remove();
      await standby.start();
    }
  });
});
