import { expect, test } from 'vitest';
import { LoadQueueError, LoadTimeoutError } from './errors.ts';
import { LoadGate } from './loads.ts';
import { gate } from './testing/wait-for.ts';

const clock = { nowMs: () => performance.now() };

test('never more at once than allowed, and in order', async () => {
  const loads = new LoadGate({ maxConcurrent: 2, timeoutMs: 5_000, maxQueued: 100 }, clock);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      loads.run(async () => {
        order.push(i);
        running += 1;
        most = Math.max(most, running);
        await new Promise(setImmediate);
        running -= 1;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect([loads.running, loads.queued]).toEqual([0, 0]);
});

test('a load that takes too long is aborted; its place is free once it ends', async () => {
  const loads = new LoadGate({ maxConcurrent: 1, timeoutMs: 20, maxQueued: 100 }, clock);
  const held = gate();
  let aborted = false;
  const slow = loads.run(async (signal) => {
    signal.addEventListener('abort', () => {
      aborted = true;
    });
    await held.opened;
  });
  await expect(slow).rejects.toThrow(LoadTimeoutError);
  expect(aborted).toBe(true);
  expect(loads.running).toBe(1);
  held.open();
  await expect(loads.run(async () => 'next')).resolves.toBe('next');
});

test('waiting is bounded in time and in number', async () => {
  const loads = new LoadGate({ maxConcurrent: 1, timeoutMs: 30, maxQueued: 1 }, clock);
  const held = gate();
  const first = loads.run(() => held.opened).catch(() => 'late');
  const second = loads.run(async () => 'second');
  await expect(loads.run(async () => 'third')).rejects.toThrow(LoadQueueError);
  await expect(second).rejects.toThrow(LoadQueueError);
  held.open();
  await first;
});

test('a task that throws at once gives its place back', async () => {
  const loads = new LoadGate({ maxConcurrent: 1, timeoutMs: 100, maxQueued: 1 }, clock);
  const bad = (): Promise<never> => {
    throw new Error('no');
  };
  await expect(loads.run(bad)).rejects.toThrow('no');
  expect(loads.running).toBe(0);
});
