import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import type { Invalidator } from '../invalidator.ts';
import { waitFor } from '../testing/wait-for.ts';
import { MemorySource } from '../testkit/memory-source.ts';

class HoldableSource extends MemorySource {
  held = false;

  hold(held: boolean): void {
    this.held = held;
  }
}

let engine: TestEngine;
let cache: Cache;
let source: HoldableSource;
let invalidator: Invalidator;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine?.stop());
beforeEach(async () => {
  cache = createCache({ name: 'pressed', far: nodeRedis(engine) });
  cache.define({
    name: 'p',
    key: String,
    load: async () => 1,
    watches: [{ table: 'public.p', key: (row) => row.id }],
  });
  source = new HoldableSource({ history: String(Math.random()) });
  invalidator = cache.invalidator(source);
  await invalidator.start();
  await waitFor(
    'an epoch',
    () => invalidator.status().epochsBegun === 1 && invalidator.status().heartbeats > 0,
  );
});
afterEach(() => cache.close());

/** As transactions of 5,000 rows. */
function commit(rows: number): void {
  for (let first = 0; first < rows; first += 5_000) {
    const changes = Array.from({ length: 5_000 }, (_, i) => ({
      table: 'public.p',
      before: undefined,
      after: { id: String(first + i) },
      identified: true,
    }));
    const transaction = source.prepare(changes);
    transaction.show();
    transaction.log();
  }
}

test('a slow engine holds the source back until it has caught up; nothing is forgotten', async () => {
  process.kill(engine.pid, 'SIGSTOP');
  commit(20_000);
  expect([source.held, invalidator.status().held]).toEqual([true, true]);
  process.kill(engine.pid, 'SIGCONT');
  await waitFor('the rest', () => invalidator.status().queuedKeys === 0 && !source.held);
  expect(invalidator.status().epochsBegun).toBe(1);
  await waitFor('the acknowledgement', () => source.acknowledged === source.position);
});

test('an engine that stays away: the queue is given up, the source goes on, an epoch is owed', async () => {
  await engine.kill();
  commit(20_000);
  expect(source.held).toBe(true);
  await waitFor('the source to be let go', () => !source.held);
  expect(invalidator.status().queuedKeys).toBe(0);
  commit(20_000);
  expect(source.held).toBe(false);
  await engine.restart();
  await waitFor('the epoch', () => invalidator.status().epochsBegun === 2);
  await waitFor('the acknowledgement', () => source.acknowledged === source.position);
});

test('a commit that nobody sees yet holds the watermark, and those behind it cost nothing', async () => {
  const { transaction } = source.commit('public.p', { id: 'first' }, { visible: false });
  const before = invalidator.status().watermark;
  for (let id = 0; id < 500; id += 1) source.commit('public.p', { id: String(id) });
  await waitFor('the visible ones to be forgotten', () => invalidator.status().awaitingVisibility === 1);
  await waitFor('all to be applied', () => invalidator.status().queuedKeys === 0);
  expect(invalidator.status().watermark).toBe(before);
  source.reveal(transaction);
  await waitFor('the watermark', () => invalidator.status().watermark === invalidator.status().received);
  expect(invalidator.status().awaitingVisibility).toBe(0);
});
