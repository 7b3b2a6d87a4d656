/** The tier on a real memcached, with a database and a feed that the test plays: every order is forced, not hoped for. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { CacheConfigError } from '../errors.ts';
import type { Invalidator } from '../invalidator.ts';
import { positionToHex } from '../position.ts';
import { answerConfig, nodeList, startConfigurationEndpoint } from '../testing/configuration-endpoint.ts';
import { type OpenShop, Shop, untilCached } from '../testing/shop.ts';
import { gate, waitFor } from '../testing/wait-for.ts';
import { parseBeat } from './beat.ts';
import { memcached } from './memcached.ts';
import { MetaClient } from './meta-client.ts';

let engines: TestEngine[];
let client: MetaClient;
let shop: Shop;
let counter = 0;
beforeAll(async () => {
  engines = await Promise.all([startEngine('memcached'), startEngine('memcached')]);
  client = new MetaClient({ servers: engines });
  await client.ready();
});
afterAll(async () => {
  client?.close();
  await Promise.all((engines ?? []).map((engine) => engine.stop()));
});
afterEach(() => shop?.close());

interface Started extends OpenShop {
  readonly invalidator: Invalidator;
}

/** A feed, and a reader in a cache of its own. */
async function start(
  options: Parameters<Shop['open']>[2] = {},
  far = memcached({ servers: engines }),
): Promise<Started> {
  shop = new Shop();
  const name = `shop${counter++}`;
  for (let id = 1; id <= 20; id += 1) shop.rows.set(id, { id, price: 1 });
  const feed = shop.open(name, far, options);
  const invalidator = feed.cache.invalidator(shop.source);
  await invalidator.start();
  const reader = shop.open(name, far, options);
  await reader.cache.ready();
  return { ...reader, invalidator };
}

const price = async ({ product }: OpenShop, id: number): Promise<number | undefined> =>
  (await product.get(id))?.price;

function untilApplied({ invalidator }: Started, position: bigint): Promise<unknown> {
  return waitFor('the change to be applied', () => invalidator.status().applied >= positionToHex(position));
}

test('what one process loads the others find; a change goes everywhere', async () => {
  const reader = await start();
  await untilCached(reader, 1);
  const other = shop.open(reader.cache.name, memcached({ servers: engines }));
  await other.cache.ready();
  const loads = shop.loads;
  expect(await price(other, 1)).toBe(1);
  expect(shop.loads).toBe(loads);
  expect(other.cache.stats().farHits).toBeGreaterThan(0);
  shop.change(1, 2);
  await waitFor('the new price', async () => (await price(other, 1)) === 2);
  await untilCached(other, 1);
  expect(await other.product.explain(1)).toMatchObject({ tier: 'far', why: 'The entry is current.' });
  // Known absent is cached like any value.
  expect(await other.product.get(999)).toBeNull();
  await waitFor('absence cached', async () => {
    const before = shop.loads;
    await other.product.get(999);
    return shop.loads === before;
  });
});

test('an event that comes before its change is visible: the old row is never kept, 100 times', async () => {
  const reader = await start();
  for (let round = 2; round < 102; round += 1) {
    await untilCached(reader, 1);
    const { transaction, position } = shop.source.commit('public.products', { id: '1' }, { visible: false });
    // A load that begins now reads the old row; it is held over the change's becoming visible.
    const other = shop.open(reader.cache.name, memcached({ servers: engines }));
    const held = gate();
    const loading = gate();
    shop.pause = async () => {
      loading.open();
      await held.opened;
    };
    await reader.product.invalidate(1);
    const late = price(reader, 1);
    await loading.opened;
    shop.pause = async () => {};
    shop.rows.set(1, { id: 1, price: round });
    shop.source.reveal(transaction);
    await untilApplied(reader, position);
    held.open();
    expect(await late).toBe(round);
    expect(await price(reader, 1)).toBe(round);
    expect(await price(other, 1)).toBe(round);
    await other.cache.close();
  }
  expect(reader.cache.stats().refusedFills.generation).toBeGreaterThanOrEqual(100);
});

test('a fill that raced a change is refused, and its caller gets the newer value, 100 times', async () => {
  const reader = await start();
  for (let round = 2; round < 102; round += 1) {
    const held = gate();
    const loading = gate();
    shop.pause = async () => {
      loading.open();
      await held.opened;
    };
    await reader.product.invalidate(2);
    const late = price(reader, 2);
    await loading.opened;
    shop.pause = async () => {};
    shop.rows.set(2, { id: 2, price: round });
    const { position } = shop.source.commit('public.products', { id: '2' });
    await untilApplied(reader, position);
    held.open();
    expect(await late).toBe(round);
    expect(await price(reader, 2)).toBe(round);
  }
  expect(reader.cache.stats().refusedFills.generation).toBeGreaterThanOrEqual(100);
});

test('while a change is not visible its key is not removed, and the beat does not pass it', async () => {
  const reader = await start();
  await untilCached(reader, 3);
  const { transaction, position } = shop.source.commit('public.products', { id: '3' }, { visible: false });
  await waitFor('the event', () => reader.invalidator.status().received >= positionToHex(position));
  // Nothing proves anything past it: reads go to the database before the bound has passed.
  await waitFor('the proof to lapse', async () => (await reader.product.explain(3)).tier === 'database');
  expect(reader.invalidator.status()).toMatchObject({ queuedKeys: 1, awaitingVisibility: 1 });
  expect(BigInt(`0x${reader.invalidator.status().applied}`)).toBeLessThan(position);
  shop.rows.set(3, { id: 3, price: 2 });
  shop.source.reveal(transaction);
  await untilCached(reader, 3);
  expect(await price(reader, 3)).toBe(2);
});

test('an application invalidates after its commit: a load that began before it fills nothing', async () => {
  shop = new Shop();
  const far = memcached({ servers: engines });
  const [one, two] = [0, 1].map(() => shop.open('applications', far, { watched: false })) as [
    OpenShop,
    OpenShop,
  ];
  shop.rows.set(1, { id: 1, price: 1 });
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  for (let round = 2; round < 30; round += 1) {
    const held = gate();
    const loading = gate();
    shop.pause = async () => {
      loading.open();
      await held.opened;
    };
    const late = price(one, 1);
    await loading.opened;
    shop.pause = async () => {};
    shop.rows.set(1, { id: 1, price: round });
    await two.product.invalidate(1);
    held.open();
    expect(await late).toBe(round);
    expect(await price(two, 1)).toBe(round);
    await two.product.invalidate(1);
  }
  const loads = shop.loads;
  await price(one, 1);
  await price(two, 1);
  expect(shop.loads - loads).toBeLessThanOrEqual(1);
});

test('one load per key over all caches, and readers who wait get it', async () => {
  const reader = await start();
  const caches = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const opened = shop.open(reader.cache.name, memcached({ servers: engines }));
      await opened.cache.ready();
      return opened;
    }),
  );
  const held = gate();
  const loading = gate();
  shop.pause = async () => {
    loading.open();
    await held.opened;
  };
  const before = shop.loads;
  const reads = caches.flatMap((each) => [price(each, 5), price(each, 5)]);
  await loading.opened;
  await waitFor(
    'the others to wait',
    () => caches.filter(({ cache }) => cache.stats().waits.lease > 0).length === 3,
  );
  held.open();
  expect(await Promise.all(reads)).toEqual(Array(8).fill(1));
  expect(shop.loads - before).toBe(1);
});

test.each([
  'restarted',
  'flushed',
])('a node that is %s between lease and fill keeps nothing of before', async (what) => {
  const engine = await startEngine('memcached');
  const reader = await start({}, memcached({ servers: [engine] }));
  await untilCached(reader, 7);
  const epochs = reader.invalidator.status().epochsBegun;
  const held = gate();
  const loading = gate();
  shop.pause = async () => {
    loading.open();
    await held.opened;
  };
  const late = price(reader, 6);
  await loading.opened;
  shop.pause = async () => {};
  if (what === 'restarted') {
    await engine.kill();
    await engine.restart();
  } else {
    const own = new MetaClient({ servers: [engine] });
    await own.ready();
    await own.flushAll();
    own.close();
  }
  shop.rows.set(6, { id: 6, price: 2 });
  shop.rows.set(7, { id: 7, price: 2 });
  shop.source.commit('public.products', { id: '6' });
  shop.source.commit('public.products', { id: '7' });
  await waitFor('a new epoch', () => reader.invalidator.status().epochsBegun > epochs);
  held.open();
  expect(await late).toBe(2);
  await untilCached(reader, 6);
  await untilCached(reader, 7);
  expect([await price(reader, 6), await price(reader, 7)]).toEqual([2, 2]);
  await engine.stop();
});

test('without the feed nothing is believed: every read after the bound goes to the database', async () => {
  const reader = await start();
  await untilCached(reader, 8);
  shop.source.stall(true);
  shop.rows.set(8, { id: 8, price: 2 });
  shop.source.withhold(true);
  shop.source.commit('public.products', { id: '8' });
  await waitFor('the proof to lapse', async () => (await reader.product.explain(8)).tier === 'database');
  for (let read = 0; read < 20; read += 1) expect(await price(reader, 8)).toBe(2);
  shop.source.stall(false);
  shop.source.withhold(false);
  await untilCached(reader, 8);
  expect(await price(reader, 8)).toBe(2);
});

test('a node that is away owes its removals, and is not believed before they are done', async () => {
  const reader = await start();
  const ids = [...shop.rows.keys()];
  for (const id of ids) await untilCached(reader, id);
  process.kill(engines[0]!.pid, 'SIGSTOP');
  for (const id of ids) shop.change(id, 2);
  // The other node goes on; on this one reads go to the database.
  await waitFor('all new', async () => {
    const prices = await Promise.all(ids.map((id) => price(reader, id)));
    return prices.every((each) => each === 2);
  });
  process.kill(engines[0]!.pid, 'SIGCONT');
  for (const id of ids) {
    await untilCached(reader, id);
    expect(await price(reader, id)).toBe(2);
  }
});

test('a truncated table makes its definition void, on every node', async () => {
  const reader = await start();
  const ids = [...shop.rows.keys()];
  for (const id of ids) await untilCached(reader, id);
  const { epochsBegun } = reader.invalidator.status();
  for (const id of ids) shop.rows.delete(id);
  shop.source.truncate('public.products');
  await waitFor('all absent', async () => {
    const values = await Promise.all(ids.map((id) => reader.product.get(id)));
    return values.every((value) => value === null);
  });
  expect(reader.invalidator.status()).toMatchObject({ epochsBegun, definitionsVoided: 1 });
});

test('a feed that starts again forgets nothing; one that lost its slot forgets everything', async () => {
  const reader = await start();
  await untilCached(reader, 4);
  const again = reader.cache.invalidator(shop.source.standby());
  await again.start();
  await reader.invalidator.stop();
  shop.source.breakStream();
  const loads = shop.loads;
  await waitFor('beats of the second', () => again.status().heartbeats > 3);
  await untilCached(reader, 4);
  expect(again.status().epochsBegun).toBe(0);
  expect(shop.loads - loads).toBeLessThanOrEqual(2);
  shop.source.loseSlot();
  await waitFor('new epochs', () => again.status().epochsBegun === 2);
  await untilCached(reader, 4);
});

test('an invalidator that stops says how far it is, and proves nothing by it', async () => {
  const reader = await start({}, memcached({ servers: engines.slice(0, 1) }));
  await untilCached(reader, 1);
  shop.change(1, 2);
  await waitFor('the new price', async () => (await price(reader, 1)) === 2);
  await reader.invalidator.stop();
  const own = new MetaClient({ servers: engines.slice(0, 1) });
  await own.ready();
  await waitFor('a last beat with the counter of the last heartbeat', async () => {
    const text = (await own.get(`${reader.cache.name}#beat`))!.value!.toString();
    const { counter, applied } = parseBeat(text)!;
    return (
      counter === reader.invalidator.status().heartbeats && applied === positionToHex(shop.source.position)
    );
  });
  own.close();
});

test('who knows another list of nodes believes nothing; with a new list everything is loaded anew', async () => {
  const endpoint = await startConfigurationEndpoint();
  endpoint.answer = answerConfig(nodeList(1, engines.slice(0, 1)));
  const reader = await start({}, memcached({ configurationEndpoint: endpoint.address, discoveryMs: 100 }));
  const ids = [...shop.rows.keys()];
  for (const id of ids) await untilCached(reader, id);
  const stranger = shop.open(reader.cache.name, memcached({ servers: engines }));
  await stranger.cache.ready();
  const loads = shop.loads;
  for (const id of ids) expect(await price(stranger, id)).toBe(1);
  expect(shop.loads - loads).toBe(ids.length);
  expect(stranger.cache.stats().farHits).toBe(0);

  endpoint.answer = answerConfig(nodeList(2, engines));
  for (const id of ids) await untilCached(stranger, id);
  for (const id of ids) {
    shop.change(id, 2);
    await waitFor(
      'the new price',
      async () => (await price(stranger, id)) === 2 && (await price(reader, id)) === 2,
    );
  }
  // Back to one node: what it kept from the first time is void.
  endpoint.answer = answerConfig(nodeList(3, engines.slice(0, 1)));
  for (const id of ids) {
    await untilCached(reader, id);
    expect(await price(reader, id)).toBe(2);
  }
  endpoint.server.close();
});

test('without a feed too, a node that comes back to the list has forgotten', async () => {
  const endpoint = await startConfigurationEndpoint();
  const only = (index: number) => answerConfig(nodeList(index, engines.slice(index, index + 1)));
  endpoint.answer = only(0);
  shop = new Shop();
  const far = memcached({ configurationEndpoint: endpoint.address, discoveryMs: 100 });
  const one = shop.open('returning', far, { watched: false });
  await one.cache.ready();
  const cachedAt = (wished: number): Promise<unknown> =>
    waitFor(`cached at ${wished}`, async () => {
      const found = await price(one, 1);
      return found === wished && (await one.product.explain(1)).tier === 'far';
    });
  shop.rows.set(1, { id: 1, price: 1 });
  await cachedAt(1);
  endpoint.answer = only(1);
  shop.rows.set(1, { id: 1, price: 2 });
  await cachedAt(2);
  await one.product.invalidate(1);
  endpoint.answer = only(0);
  shop.rows.set(1, { id: 1, price: 3 });
  await one.product.invalidate(1);
  const { partition } = await one.product.explain(1);
  await waitFor('the first node again', async () => (await one.product.explain(1)).partition !== partition);
  expect(await price(one, 1)).toBe(3);
  await cachedAt(3);
  endpoint.server.close();
});

test('keys that memcached would not take, and values that it would not, are no trouble', async () => {
  shop = new Shop();
  const { cache } = shop.open('strange', memcached({ servers: engines }), { watched: false });
  await cache.ready();
  let loads = 0;
  const strange = cache.define<string, string>({
    name: 'strange',
    key: (key) => key,
    load: async (key) => {
      loads += 1;
      return key.startsWith('large') ? 'x'.repeat(2_000_000) : key;
    },
  });
  for (const key of ['two words', 'line\r\nflush_all', 'ключ', 'k'.repeat(1_000), '#beat', '']) {
    expect(await strange.get(key)).toBe(key);
    const before = loads;
    expect(await strange.get(key)).toBe(key);
    expect(loads).toBe(before);
  }
  // Nobody waits for a lease that its holder can't fill.
  expect((await strange.get('large'))!.length).toBe(2_000_000);
  expect((await strange.get('large'))!.length).toBe(2_000_000);
  expect(cache.stats().waits.lease).toBe(0);
});

test('what memcached can not promise is refused, with what to do instead', async () => {
  shop = new Shop();
  const far = memcached({ servers: engines });
  const refused: (() => unknown)[] = [
    () => shop.open('refused', far, { near: { maxBytes: 1_000_000 } }),
    () => shop.open('refused', far, { partitions: 4 }),
    () => memcached({ servers: [] }),
    () => memcached({ servers: engines, configurationEndpoint: engines[0]! }),
    () => memcached({ servers: engines, username: 'half' }),
  ];
  for (const attempt of refused) expect(attempt).toThrow(CacheConfigError);
  const { cache } = shop.open('tags', far, { near: false });
  expect(() => cache.define({ name: 'a', key: String, load: async () => 1, tags: () => ['t'] })).toThrow(
    /tag/,
  );
  expect(() =>
    cache.define({
      name: 'b',
      key: String,
      load: async () => 1,
      watches: [{ table: 'a.b', tags: () => ['t'] }],
    }),
  ).toThrow(/tag/);
  await expect(cache.invalidateTag('t')).rejects.toThrow(CacheConfigError);
  await expect(cache.applyEvents([], { beforeCommit: true })).rejects.toThrow(/memcached/);
  expect(() => cache.internals).toThrow(/scripts/);
});
