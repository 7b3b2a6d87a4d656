/** The promise: the data of a node elsewhere becomes a group's own, with everything that was written until its end. */
import {
  CompleteMigrationCommand,
  type CustomerNodeEndpoint,
  StartMigrationCommand,
  TestMigrationCommand,
} from '@aws-sdk/client-elasticache';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
  groupGone,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { startEngine, type TestEngine } from '../testing/engine.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';
import { writeProbe } from '../testing/write-probe.ts';

const clients = redisClients();
const sources: TestEngine[] = [];
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
});

beforeEach(() => {
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-4_000)}`));
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
  await Promise.all(sources.map((source) => source.stop()));
});

const keyCount = 3_000;

async function startSource(...[engine, extra, version]: Parameters<typeof startEngine>): Promise<TestEngine> {
  const source = await startEngine(engine, ['--repl-diskless-sync-delay', '0', ...(extra ?? [])], version);
  sources.push(source);
  return source;
}

const placeOf = ({ host: Address, port: Port }: TestEngine): CustomerNodeEndpoint => ({ Address, Port });

async function fill(client: Redis): Promise<void> {
  const pipeline = client.pipeline();
  for (let index = 0; index < keyCount; index += 1) pipeline.set(`key:${index}`, `value:${index}`);
  await pipeline.exec();
  await client.hset('a-hash', 'field', '1');
  await client.set('brief', 'x', 'EX', 1_000);
}

const start = (id: string, ...endpoints: CustomerNodeEndpoint[]) =>
  larder.client.send(
    new StartMigrationCommand({ ReplicationGroupId: id, CustomerNodeEndpointList: endpoints }),
  );
const tryOut = (id: string, ...endpoints: CustomerNodeEndpoint[]) =>
  larder.client.send(
    new TestMigrationCommand({ ReplicationGroupId: id, CustomerNodeEndpointList: endpoints }),
  );
const complete = (id: string, Force?: boolean) =>
  larder.client.send(
    new CompleteMigrationCommand({ ReplicationGroupId: id, ...(Force !== undefined && { Force }) }),
  );

async function endpoint(id: string): Promise<Redis> {
  return clients.to((await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!);
}

const inSync = (id: string, times = 1) =>
  waitFor(
    async () => (await eventsOf(larder, id)).filter((message) => message.includes('in sync')).length,
    (count) => count >= times,
    { what: `${id} to be in sync with its source` },
  );

const engines = [
  { engine: 'redis', version: '7.0', id: 'from-redis' },
  { engine: 'valkey', version: '9.1', id: 'from-valkey' },
] as const;

describe.each(engines)('from a foreign $engine $version to Valkey 9.1', ({ engine, version, id }) => {
  let source: TestEngine;
  let foreign: Redis;

  beforeAll(async () => {
    source = await startSource(engine, [], version);
    foreign = clients.to(placeOf(source));
    await fill(foreign);
    await createGroup(larder, id, { NumCacheClusters: 2, AutomaticFailoverEnabled: true });
    await groupAvailable(larder, id);
  });

  test('a test changes nothing; a start copies everything, and what comes after', async () => {
    const before = await describeGroup(larder, id);
    await effect('TestMigration', 'a source without replicas, by INFO, and the group as it was', async () => {
      expect((await tryOut(id, placeOf(source))).ReplicationGroup!.Status).toBe('available');
      expect(await infoField(foreign, 'connected_slaves')).toBe('0');
      expect(await describeGroup(larder, id)).toEqual(before);
    });
    expect((await start(id, placeOf(source))).ReplicationGroup!.Status).toBe('migrating');
    await inSync(id);
    await effect(
      'StartMigration',
      "the group's primary as the source's replica by INFO, with its keys",
      async () => {
        expect(await infoField(foreign, 'connected_slaves')).toBe('1');
        const client = await endpoint(id);
        expect(await infoField(client, 'master_host')).toBe(source.host);
        expect(await client.dbsize()).toBe(keyCount + 2);
      },
    );
    const after = await describeGroup(larder, id);
    expect({ ...after, Status: 'available' }).toEqual(before);
    expect(await errorName(start(id, placeOf(source)))).toBe('ReplicationGroupAlreadyUnderMigrationFault');
    expect(await errorName(tryOut(id, placeOf(source)))).toBe('ReplicationGroupAlreadyUnderMigrationFault');
  });

  test('the service is killed, then the primary: the other member follows the source', async () => {
    const writer = writeProbe('meanwhile', (key) => foreign.set(key, key));
    await larder.restart();
    const old = primaryOf(await describeGroup(larder, id));
    endProcess(larder.processes().find(({ nodeId }) => nodeId === `${old}.0001`)!.pid);
    await waitFor(
      async () => primaryOf(await describeGroup(larder, id)),
      (primary) => primary !== old,
      { what: 'another primary' },
    );
    const client = await endpoint(id);
    await waitFor(
      async () =>
        `${await infoField(client, 'master_host')} ${await infoField(client, 'master_link_status')}`,
      (seen) => seen === `${source.host} up`,
      { what: 'the new primary to follow the source' },
    );
    const { acknowledged } = await writer.stop();
    await waitFor(
      () => client.exists(...acknowledged),
      (count) => count === acknowledged.length,
      { what: 'what was written meanwhile' },
    );
    expect((await describeGroup(larder, id)).Status).toBe('migrating');
  });

  test('completed with everything, the group is its own, and so are its replicas', async () => {
    await foreign.set('last', 'words');
    await waitFor(
      () => errorName(complete(id)),
      (name) => name === 'no error',
      { what: 'the completion to be taken' },
    );
    if (engine === 'redis') await larder.restart();
    await groupAvailable(larder, id);
    await effect(
      'CompleteMigration',
      'a primary with all keys that takes writes, and its replica by INFO',
      async () => {
        const client = await endpoint(id);
        expect(await infoField(client, 'role')).toBe('master');
        expect(await client.get('last')).toBe('words');
        expect(await client.get('key:77')).toBe('value:77');
        expect(await client.hgetall('a-hash')).toEqual({ field: '1' });
        expect(await client.ttl('brief')).toBeGreaterThan(900);
        await client.set('own', '1');
        expect(await client.wait(1, 10_000)).toBe(1);
      },
    );
    expect(await infoField(foreign, 'connected_slaves')).toBe('0');
    expect(await foreign.exists('own')).toBe(0);
    expect(await eventsOf(larder, id)).toContain(`Complete Migration successful for ${id}`);
    expect(await errorName(complete(id))).toBe('ReplicationGroupNotUnderMigrationFault');
    // The login among its own nodes is back: whoever follows next is let in.
    const old = primaryOf(await describeGroup(larder, id));
    endProcess(larder.processes().find(({ nodeId }) => nodeId === `${old}.0001`)!.pid);
    await waitFor(
      async () => primaryOf(await describeGroup(larder, id)),
      (primary) => primary !== old,
      { what: 'a failover' },
    );
    const client = await endpoint(id);
    await client.set('after', '1');
    expect(await client.wait(1, 10_000)).toBe(1);
    expect(await client.dbsize()).toBeGreaterThan(keyCount);
  });
});

describe('a source that dies', () => {
  const id = 'orphan';

  test('is told of by an event; only by force the group goes on with what it has', async () => {
    const source = await startSource('redis', [], '7.0');
    await fill(clients.to(placeOf(source)));
    await createGroup(larder, id, {});
    await groupAvailable(larder, id);
    await start(id, placeOf(source));
    await inSync(id);
    await source.kill();
    await waitFor(
      () => eventsOf(larder, id),
      (messages) => messages.some((message) => message.includes('was lost; it is tried again')),
      { what: 'an event about the lost link', limitMs: 20_000 },
    );
    expect(await errorName(complete(id))).toBe('InvalidReplicationGroupStateFault');
    expect((await describeGroup(larder, id)).Status).toBe('migrating');
    await complete(id, true);
    await groupAvailable(larder, id);
    const client = await endpoint(id);
    expect(await client.dbsize()).toBe(keyCount + 2);
    expect(await client.set('own', '1')).toBe('OK');
  });

  test('a group can be deleted in the middle', async () => {
    const source = await startSource();
    await createGroup(larder, 'brief', {});
    await groupAvailable(larder, 'brief');
    await start('brief', placeOf(source));
    await deleteGroup(larder, 'brief');
    await groupGone(larder, 'brief');
    const foreign = clients.to(placeOf(source));
    await waitFor(
      () => infoField(foreign, 'connected_slaves'),
      (count) => count === '0',
      { what: 'the source to be alone' },
    );
  });
});

test('what can not be is refused and changes nothing', async () => {
  const id = 'orphan';
  const locked = await startSource('valkey', ['--requirepass', 'secret']);
  const clustered = await startSource('valkey', ['--cluster-enabled', 'yes', '--cluster-port', '16379']);
  const other = await startSource();
  const follower = await startSource('valkey', ['--replicaof', `${other.host} ${other.port}`]);
  const wrongValue = 'InvalidParameterValueException';
  const wrongState = 'InvalidReplicationGroupStateFault';
  // It holds keys.
  expect(await errorName(start(id, placeOf(other)))).toBe(wrongState);
  await (await endpoint(id)).flushall();
  const before = await describeGroup(larder, id);
  expect(await errorName(start(id))).toBe(wrongValue);
  expect(await errorName(start(id, placeOf(other), placeOf(follower)))).toBe(wrongValue);
  expect(await errorName(start(id, { Address: 'a b', Port: 1 }))).toBe(wrongValue);
  expect(await errorName(start(id, { Address: other.host, Port: 0 }))).toBe(wrongValue);
  expect(await errorName(start(id, { Address: other.host, Port: 6380 }))).toBe(wrongValue);
  for (const engine of [locked, clustered, follower]) {
    expect(await errorName(start(id, placeOf(engine)))).toBe(wrongValue);
    expect(await errorName(tryOut(id, placeOf(engine)))).toBe(wrongValue);
  }
  const itself = (await describeCluster(larder, `${id}-001`)).CacheNodes![0]!.Endpoint!;
  expect(await errorName(start(id, itself))).toBe(wrongValue);
  expect(await errorName(start('nobody', placeOf(other)))).toBe('ReplicationGroupNotFoundFault');
  expect(await errorName(complete(id))).toBe('ReplicationGroupNotUnderMigrationFault');
  expect(await errorName(complete('nobody'))).toBe('ReplicationGroupNotFoundFault');
  await createGroup(larder, 'older', { Engine: 'redis', EngineVersion: '7.0' });
  await groupAvailable(larder, 'older');
  expect(await errorName(start('older', placeOf(other)))).toBe(wrongValue);
  expect(await describeGroup(larder, id)).toEqual(before);
  expect(larder.log.split('\n').filter((line) => line.includes('breaks its invariants'))).toEqual([]);
});
