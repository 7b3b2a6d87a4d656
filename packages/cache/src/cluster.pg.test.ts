import { afterAll, beforeAll, expect, test } from 'vitest';
import { command } from '../../../testing/engine.ts';
import { startCluster, type TestCluster } from '../../../testing/engine-cluster.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import type { Driver, DriverOptions } from './driver/driver.ts';
import { ioredis } from './driver/ioredis.ts';
import { iovalkey } from './driver/iovalkey.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { PostgresShops, untilCachedAt } from './testing/postgres-shop.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
let postgres: TestPostgres;
beforeAll(async () => {
  [cluster, postgres] = await Promise.all([startCluster(3), startTestPostgres()]);
});
afterAll(() => Promise.all([cluster?.stop(), postgres?.remove()]));

const drivers: readonly [string, (options: DriverOptions) => Driver][] = [
  ['nodeRedis', nodeRedis],
  ['ioredis', ioredis],
  ['iovalkey', iovalkey],
];

test.each(drivers)('end to end on a cluster of three (%s)', async (label, driverOf) => {
  const name = `cluster_${label.toLowerCase()}`;
  const shops = new PostgresShops(postgres.address);
  try {
    await shops.createTable(name);
    // One seed is enough to find the others.
    const seed = { cluster: [{ host: cluster.nodes[0]!.host, port: cluster.nodes[0]!.port }] };
    const one = shops.open(name, driverOf(seed));
    const two = shops.open(name, driverOf(seed));
    await shops.invalidator(one).start();
    await Promise.all([one.cache.ready(), two.cache.ready()]);
    await waitFor('all partitions', () => one.cache.stats().far === 'up' && two.cache.stats().far === 'up');
    const ids = Array.from({ length: 60 }, (_, i) => i + 1);
    for (const id of ids) await untilCachedAt(one, id, 1);
    const partitions = new Set(
      await Promise.all(ids.map(async (id) => (await one.product.explain(id)).partition)),
    );
    expect(partitions.size).toBeGreaterThan(10);
    expect(await two.product.many(ids)).toEqual(ids.map((id) => ({ id, price: 1 })));
    for (const id of ids) {
      await waitFor('near', async () => {
        await two.product.get(id);
        return two.product.near(id);
      });
    }
    await shops.pool.query(`UPDATE ${name} SET price = 2 WHERE id <= 60`);
    for (const id of ids) {
      await untilCachedAt(two, id, 2);
      await untilCachedAt(one, id, 2);
    }
    expect(two.cache.stats().gaps).toBe(0);
  } finally {
    await shops.close();
  }
});

test('a slot that moves to another node is followed', async () => {
  const shops = new PostgresShops(postgres.address);
  try {
    await shops.createTable('moving');
    const seeds = { cluster: cluster.nodes.map(({ host, port }) => ({ host, port })) };
    const shop = shops.open('moving', nodeRedis(seeds), { partitions: 3 });
    const invalidator = shops.invalidator(shop);
    await invalidator.start();
    await shop.cache.ready();
    for (let id = 1; id <= 20; id += 1) await untilCachedAt(shop, id, 1);
    const [from, to] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];
    const keys = (await command(from, ['KEYS', '{moving:*#state']))
      .split('\r\n')
      .filter((key) => key.startsWith('{'));
    const slot = Number((await command(from, ['CLUSTER', 'KEYSLOT', keys[0]!])).slice(1));
    const ids = await Promise.all(
      [from, to].map(async (node) => bulk(await command(node, ['CLUSTER', 'MYID']))),
    );
    await command(to, ['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', ids[0]!]);
    await command(from, ['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', ids[1]!]);
    for (;;) {
      const reply = await command(from, ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]);
      if (reply.startsWith(':0')) break;
      const batch = (await command(from, ['CLUSTER', 'GETKEYSINSLOT', String(slot), '1'])).split('\r\n');
      const key = batch.find((line) => line.startsWith('{'))!;
      await command(from, ['MIGRATE', to.host, String(to.port), key, '0', '1000']);
    }
    for (const node of [to, from]) await command(node, ['CLUSTER', 'SETSLOT', String(slot), 'NODE', ids[1]!]);
    await shops.pool.query('UPDATE moving SET price = 2');
    for (let id = 1; id <= 20; id += 1) await untilCachedAt(shop, id, 2);
    expect(invalidator.status().epochsBegun).toBe(3);
  } finally {
    await shops.close();
  }
});

function bulk(reply: string): string {
  return reply.split('\r\n')[1]!;
}
