import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import type { Driver } from '../driver/driver.ts';
import { ioredis } from '../driver/ioredis.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError, SessionValueError, SharedTierError } from '../errors.ts';
import { waitFor } from '../testing/wait-for.ts';
import { MemoryEngine } from '../testkit/memory-engine.ts';
import { createSessions, type LoadedSession, type Sessions, type SessionsOptions } from './session.ts';

let valkey: TestEngine;
let redis: TestEngine;
beforeAll(async () => {
  [valkey, redis] = await Promise.all([startEngine('valkey'), startEngine('redis')]);
});
afterAll(() => Promise.all([valkey?.stop(), redis?.stop()]));

const caches: Cache[] = [];
afterAll(() => Promise.all(caches.map((cache) => cache.close())));
let counter = 0;

async function open(driver: Driver, options: SessionsOptions = {}): Promise<Sessions> {
  const cache = createCache({ name: 'shop', far: driver, near: false });
  caches.push(cache);
  await cache.ready();
  return createSessions(cache, options);
}
const freshName = (): string => `s${counter++}`;
const freshId = (): string => `id-${counter++}-${Math.random()}`;
const load = async (sessions: Sessions, id: string): Promise<LoadedSession> => (await sessions.load(id))!;

const engines: readonly [string, () => Driver][] = [
  ['the engine in memory', () => memory.driver()],
  ['Valkey over node-redis', () => nodeRedis(valkey)],
  ['Redis over ioredis', () => ioredis(redis)],
];
const memory = new MemoryEngine();

describe.each(engines)('on %s', (_, driver) => {
  test('a session is found as it was saved, by every process', async () => {
    const [one, two] = [await open(driver()), await open(driver())];
    const id = freshId();
    expect(await one.load(id)).toBeUndefined();
    expect(await one.save(id, { user: 7, cart: [{ id: 1 }], none: undefined })).toBe('saved');
    expect((await load(two, id)).data).toEqual({ user: 7, cart: [{ id: 1 }] });
    await two.destroy(id);
    expect(await one.load(id)).toBeUndefined();
  });

  test('random interleavings of requests end as a merge by keys says', async () => {
    const sessions = await open(driver());
    const steps = fc.array(
      fc.record({
        request: fc.nat(2),
        step: fc.constantFrom('load', 'set', 'set', 'delete', 'save', 'save', 'destroy'),
        key: fc.constantFrom('a', 'b', '#', 'd'),
        value: fc.constantFrom(1, 2, 'x', null, [], [1], {}, { n: 1 }),
      }),
      { minLength: 5, maxLength: 40, size: 'max' },
    );
    const seen = new Set<string>();
    // Random sequences seldom save what was destroyed: one that does is always among them.
    const afterDestroy = (['load', 'set', 'destroy', 'save', 'load'] as const).map((step) => ({
      request: 0,
      step,
      key: 'a' as const,
      value: 1 as const,
    }));
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const id = freshId();
        // Destroying is rare, or nothing else would be seen.
        let destroys = 0;
        await sessions.save(id, { a: 0, b: 0 });
        let stored: Record<string, unknown> | undefined = { a: 0, b: 0 };
        const requests: { loaded: LoadedSession; knew: Record<string, unknown> }[] = [];
        for (const { request, step, key, value } of sequence) {
          const mine = requests[request];
          if (step === 'load') {
            const loaded = await sessions.load(id);
            expect(loaded?.data).toEqual(stored);
            if (loaded !== undefined) {
              requests[request] = { loaded, knew: structuredClone(loaded.data) };
            }
          } else if (step === 'destroy') {
            if (destroys++ > 0 || sequence.length > 25) continue;
            await sessions.destroy(id);
            stored = undefined;
          } else if (mine === undefined) continue;
          else if (step === 'set') mine.loaded.data[key] = value;
          else if (step === 'delete') delete mine.loaded.data[key];
          else {
            const { data, handle } = mine.loaded;
            const changed = (field: string): boolean =>
              Object.hasOwn(data, field) !== Object.hasOwn(mine.knew, field) ||
              !isDeepStrictEqual(data[field], mine.knew[field]);
            const fields = [...new Set([...Object.keys(data), ...Object.keys(mine.knew)])].filter(changed);
            const outcome = await sessions.save(id, data, { handle });
            seen.add(outcome);
            if (outcome === 'unchanged') expect(fields).toEqual([]);
            else if (stored === undefined) {
              expect(outcome).toBe('destroyed');
              continue;
            } else {
              expect(['saved', 'merged']).toContain(outcome);
              for (const field of fields) {
                if (Object.hasOwn(data, field)) stored[field] = structuredClone(data[field]);
                else delete stored[field];
              }
            }
            mine.knew = structuredClone(data);
          }
        }
        expect((await sessions.load(id))?.data).toEqual(stored);
      }),
      { numRuns: 200, examples: [[afterDestroy]] },
    );
    expect([...seen].sort()).toEqual(['destroyed', 'merged', 'saved', 'unchanged']);
  });

  test('fifty requests at once, in three processes, lose nothing of each other', async () => {
    const processes = [await open(driver()), await open(driver()), await open(driver())];
    const id = freshId();
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    await processes[0]!.save(id, Object.fromEntries(numbers.map((n) => [`old${n}`, n])));
    const requests = await Promise.all(numbers.map((n) => load(processes[n % 3]!, id)));
    const outcomes = await Promise.all(
      requests.map(({ data, handle }, n) => {
        delete data[`old${n}`];
        data[`new${n}`] = n;
        return processes[n % 3]!.save(id, data, { handle });
      }),
    );
    expect(outcomes.filter((outcome) => outcome === 'saved')).toHaveLength(1);
    const { data } = await load(processes[0]!, id);
    expect(data).toEqual(Object.fromEntries(numbers.map((n) => [`new${n}`, n])));
  });

  // What merging the stored session with the saved one, without knowing what was loaded, gets wrong.
  test('what one request deleted stays deleted when another saves', async () => {
    const sessions = await open(driver());
    const id = freshId();
    await sessions.save(id, { user: 7, admin: true, cart: ['a', 'b'], seen: { x: 1 } });
    const [slow, quick] = [await load(sessions, id), await load(sessions, id)];
    delete quick.data.admin;
    quick.data.cart = ['b'];
    quick.data.seen = { y: 2 };
    expect(await sessions.save(id, quick.data, quick)).toBe('saved');
    slow.data.flash = 'hello';
    expect(await sessions.save(id, slow.data, slow)).toBe('merged');
    // No deep merge: neither the array's item nor the object's field comes back.
    expect((await load(sessions, id)).data).toEqual({ user: 7, cart: ['b'], seen: { y: 2 }, flash: 'hello' });
  });

  test('of two that change the same key the later save wins, whole', async () => {
    const sessions = await open(driver());
    const id = freshId();
    await sessions.save(id, { cart: ['a'], page: 1 });
    const [one, two] = [await load(sessions, id), await load(sessions, id)];
    one.data.cart = ['a', 'b'];
    two.data.cart = ['a', 'c'];
    two.data.page = 1;
    await sessions.save(id, two.data, two);
    await sessions.save(id, one.data, one);
    expect((await load(sessions, id)).data).toEqual({ cart: ['a', 'b'], page: 1 });
  });

  test('a second save of one request writes what changed since the first', async () => {
    const sessions = await open(driver());
    const id = freshId();
    await sessions.save(id, { step: 0, other: 0 });
    const [mine, theirs] = [await load(sessions, id), await load(sessions, id)];
    mine.data.step = 1;
    await sessions.save(id, mine.data, mine);
    theirs.data.step = 5;
    theirs.data.other = 5;
    await sessions.save(id, theirs.data, theirs);
    mine.data.third = true;
    await sessions.save(id, mine.data, mine);
    expect((await load(sessions, id)).data).toEqual({ step: 5, other: 5, third: true });
  });

  test('nothing brings a destroyed session back, in whichever process', async () => {
    const [one, two] = [await open(driver()), await open(driver())];
    const id = freshId();
    await one.save(id, { user: 7 });
    const slow = await load(two, id);
    await one.destroy(id);
    slow.data.cart = [1];
    expect(await two.save(id, slow.data, slow)).toBe('destroyed');
    expect(await two.save(id, { user: 7 })).toBe('destroyed');
    await two.touch(id);
    expect(await one.load(id)).toBeUndefined();
  });

  test('a session that expired is not brought back in part', async () => {
    const sessions = await open(driver(), { touchEveryMs: 0 });
    const id = freshId();
    await sessions.save(id, { user: 7 }, { ttlMs: 30 });
    const slow = await load(sessions, id);
    await waitFor('the end', async () => (await sessions.load(id)) === undefined);
    slow.data.cart = [1];
    expect(await sessions.save(id, slow.data, slow)).toBe('gone');
    expect(await sessions.load(id)).toBeUndefined();
  });

  test('sizes are bounded, also of what several requests put together', async () => {
    const sessions = await open(driver(), { maxBytes: 1_000 });
    const id = freshId();
    await sessions.save(id, { a: 'a' });
    const requests = await Promise.all([load(sessions, id), load(sessions, id), load(sessions, id)]);
    const text = 'x'.repeat(450);
    const outcomes = await Promise.allSettled(
      requests.map(({ data, handle }, n) => sessions.save(id, { ...data, [`k${n}`]: text }, { handle })),
    );
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await expect(sessions.save(id, { a: 'x'.repeat(1_000) })).rejects.toThrow(SessionValueError);
  });

  test('all of them are seen, counted and cleared; ids are not stored', async () => {
    const options = { name: freshName() };
    const sessions = await open(driver(), options);
    const other = await open(driver(), { name: freshName() });
    const ids = Array.from({ length: 500 }, freshId);
    await Promise.all(ids.map((id, n) => sessions.save(id, { n })));
    await other.save(freshId(), { other: true });
    await sessions.destroy(ids[0]!);
    const found: unknown[] = [];
    for await (const { n } of sessions.all()) found.push(n);
    expect(found.sort((a, b) => Number(a) - Number(b))).toEqual(ids.map((_, n) => n).slice(1));
    expect(await sessions.count()).toBe(499);
    await sessions.clear();
    expect([await sessions.count(), await other.count()]).toEqual([0, 1]);
    expect(await sessions.save(ids[5]!, { n: 5 })).toBe('destroyed');
  });
});

test('what is no id is no session, and cannot be saved', async () => {
  const sessions = await open(memory.driver());
  for (const id of ['', 'x'.repeat(513), 7 as never]) {
    expect(await sessions.load(id)).toBeUndefined();
    await expect(sessions.save(id, {})).rejects.toThrow(CacheConfigError);
  }
  for (const options of [
    { name: 'a b' },
    { ttlMs: 0 },
    { expiry: 'x' as never },
    { whenDown: 'x' as never },
  ]) {
    await expect(open(memory.driver(), options)).rejects.toThrow(CacheConfigError);
  }
});

// --- time, on a real engine --------------------------------------------------------------------------------

/** Time to live of the only key that matches. */
async function lifetimeMs(name: string): Promise<number> {
  const keys = (await command(valkey, ['KEYS', `*#s:${name}:*`]))
    .split('\r\n')
    .filter((line) => line.startsWith('{'));
  expect(keys).toHaveLength(1);
  return Number((await command(valkey, ['PTTL', keys[0]!])).slice(1));
}
const commandCount = async (): Promise<number> =>
  Number(/total_commands_processed:(\d+)/.exec(await command(valkey, ['INFO', 'stats']))![1]);

test('a rolling session lives on with use; touches are rare, and cost no life', async () => {
  const name = freshName();
  const sessions = await open(nodeRedis(valkey), { name, ttlMs: 100_000, touchEveryMs: 50_000 });
  const id = freshId();
  await sessions.save(id, { user: 7 }, { ttlMs: 10_000 });
  expect(await lifetimeMs(name)).toBeGreaterThan(50_000);
  const handle = (await load(sessions, id)).handle;
  // Another lifetime than before is told at once.
  expect(await sessions.save(id, { user: 7 }, { handle })).toBe('unchanged');
  expect(await lifetimeMs(name)).toBeGreaterThan(140_000);
  const before = await commandCount();
  for (let n = 0; n < 300; n += 1) await sessions.touch(id);
  // The clock samples of the caches, and this look itself; not three hundred touches.
  expect((await commandCount()) - before).toBeLessThan(150);
});

test('a fixed session ends when it was meant to, whatever happens to it', async () => {
  const name = freshName();
  const sessions = await open(nodeRedis(valkey), { name, ttlMs: 100_000, expiry: 'fixed' });
  const id = freshId();
  await sessions.save(id, { user: 7 }, { ttlMs: 5_000 });
  const { data, handle } = await load(sessions, id);
  data.cart = [1];
  expect(await sessions.save(id, data, { handle })).toBe('saved');
  await sessions.touch(id);
  expect(await lifetimeMs(name)).toBeLessThanOrEqual(5_000);
});

test('telemetry tells what befell a session, and never whose', async () => {
  const heard: unknown[] = [];
  const listener = (message: unknown): void => void heard.push(message);
  subscribe('larder:cache:session', listener);
  const name = freshName();
  const sessions = await open(nodeRedis(valkey), { name });
  const id = 'secret-id-of-somebody';
  await sessions.save(id, { secret: 'value' });
  const [one, two] = [await load(sessions, id), await load(sessions, id)];
  await sessions.save(id, { ...one.data, a: 1 }, one);
  await sessions.save(id, { ...two.data, b: 1 }, two);
  await sessions.destroy(id);
  await sessions.save(id, { ...one.data, c: 1 }, one);
  unsubscribe('larder:cache:session', listener);
  expect(heard).toEqual([
    { cache: 'shop', sessions: name, event: 'merged' },
    { cache: 'shop', sessions: name, event: 'destroyed' },
  ]);
  const everything = (await command(valkey, ['KEYS', '*'])) + JSON.stringify(heard);
  expect(everything).not.toContain('secret-id');
});

// --- failures ------------------------------------------------------------------------------------------------

test('with the shared tier down nobody is a stranger, unless that was asked for', async () => {
  const engine = await startEngine('valkey');
  try {
    const strict = await open(nodeRedis(engine), { patienceMs: 20 });
    const lenient = await open(nodeRedis(engine), { patienceMs: 20, whenDown: 'anonymous' });
    const id = 'secret-id';
    await strict.save(id, { user: 'hunter2' });
    const known = await load(strict, id);
    await engine.kill();
    const failures = await Promise.all(
      [
        () => strict.load(id),
        () => strict.save(id, { ...known.data, a: 'hunter2' }, known),
        () => strict.destroy(id),
        // Whoever logs out must not believe it happened.
        () => lenient.destroy(id),
      ].map((step) => step().then(String, (error: unknown) => error)),
    );
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(SharedTierError);
      expect(String((failure as Error).stack)).not.toMatch(/secret-id|hunter2/);
    }
    expect(await lenient.load(id)).toBeUndefined();
    expect(await lenient.save(id, { user: 8 })).toBe('dropped');
  } finally {
    await engine.stop();
  }
});

test('requests wait out an engine that is killed and comes back', async () => {
  const engine = await startEngine('valkey', ['--appendonly', 'yes', '--appendfsync', 'always']);
  try {
    const sessions = await open(nodeRedis(engine), { patienceMs: 10_000 });
    const id = freshId();
    await sessions.save(id, { user: 7, n: 0 });
    const saves: Promise<unknown>[] = [];
    const killed = engine.kill();
    for (let n = 1; n <= 20; n += 1) {
      saves.push(
        sessions.load(id).then((loaded) => sessions.save(id, { ...loaded!.data, [`k${n}`]: n }, loaded)),
      );
    }
    await killed;
    await engine.restart();
    await Promise.all(saves);
    const { data } = await load(sessions, id);
    expect(Object.keys(data).filter((key) => key.startsWith('k'))).toHaveLength(20);
  } finally {
    await engine.stop();
  }
});
