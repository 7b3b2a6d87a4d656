/** Sessions where the engine is not one process: over a failover, and over the shards of a cluster. */
import { afterEach, expect, test } from 'vitest';
import { command, startEngine } from '../../../../testing/engine.ts';
import { startCluster } from '../../../../testing/engine-cluster.ts';
import { type Cache, createCache } from '../cache.ts';
import { ioredis } from '../driver/ioredis.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { startEndpoint } from '../testing/endpoint.ts';
import { waitFor } from '../testing/wait-for.ts';
import { createSessions } from './session.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function openCache(far: ReturnType<typeof nodeRedis>): Promise<Cache> {
  const cache = createCache({ name: 'shop', far, near: false });
  undo.push(() => cache.close());
  await waitFor('the shared tier', () => cache.stats().far === 'up');
  return cache;
}

test('sessions, and the ends of sessions, survive a failover to a replica', async () => {
  const [primary, replica] = await Promise.all([
    startEngine('valkey', ['--repl-diskless-sync-delay', '0']),
    startEngine(),
  ]);
  undo.push(primary.stop, replica.stop);
  await command(replica, ['REPLICAOF', primary.host, String(primary.port)]);
  const endpoint = await startEndpoint(primary);
  undo.push(endpoint.close);
  const sessions = createSessions(await openCache(nodeRedis(endpoint)), { patienceMs: 10_000 });

  const ids = Array.from({ length: 50 }, (_, n) => `id-${n}`);
  await Promise.all(ids.map((id, n) => sessions.save(id, { n })));
  const slow = await sessions.load('id-0');
  await sessions.destroy('id-0');
  // What replication hasn't carried over when the primary dies is lost; this test is about what it has.
  const offset = await offsetOf(primary);
  await waitFor('replication', async () => (await offsetOf(replica)) >= offset);
  endpoint.moveTo(undefined);
  await primary.kill();
  const during = sessions
    .load('id-7')
    .then((loaded) => sessions.save('id-7', { ...loaded!.data, during: true }, loaded));
  await command(replica, ['REPLICAOF', 'NO', 'ONE']);
  endpoint.moveTo(replica);

  expect(await during).toBe('saved');
  expect((await sessions.load('id-7'))?.data).toEqual({ n: 7, during: true });
  expect(await sessions.count()).toBe(49);
  expect(await sessions.save('id-0', { ...slow!.data, late: true }, slow)).toBe('destroyed');
});

async function offsetOf(engine: { readonly host: string; readonly port: number }): Promise<number> {
  const info = await command(engine, ['INFO', 'replication']);
  return Number(/(?:slave_repl_offset|master_repl_offset):(\d+)/.exec(info)![1]);
}

test.each([
  ['node-redis', nodeRedis],
  ['ioredis', ioredis],
] as const)('sessions spread over the shards of a cluster (%s)', async (_, driverOf) => {
  const cluster = await startCluster(3);
  undo.push(cluster.stop);
  const seed = cluster.nodes[0]!;
  const sessions = createSessions(
    await openCache(driverOf({ cluster: [{ host: seed.host, port: seed.port }] })),
  );
  const ids = Array.from({ length: 120 }, (_, n) => `id-${n}`);
  await Promise.all(ids.map((id, n) => sessions.save(id, { n })));
  for (const node of cluster.nodes) {
    expect(Number((await command(node, ['DBSIZE'])).slice(1))).toBeGreaterThan(10);
  }
  await Promise.all(
    ids.map(async (id, n) => {
      const loaded = (await sessions.load(id))!;
      expect(loaded.data).toEqual({ n });
      expect(await sessions.save(id, { ...loaded.data, again: n }, loaded)).toBe('saved');
    }),
  );
  await Promise.all(ids.slice(0, 20).map((id) => sessions.destroy(id)));
  expect(await sessions.count()).toBe(100);
  let sum = 0;
  for await (const { n } of sessions.all()) sum += Number(n);
  expect(sum).toBe(ids.reduce((total, _id, n) => total + (n < 20 ? 0 : n), 0));
  await sessions.clear();
  expect(await sessions.count()).toBe(0);
});
