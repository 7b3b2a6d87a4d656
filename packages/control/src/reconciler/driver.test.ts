import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type PassOutcome, type Reconciler, reconciler } from './driver.ts';

const periodMs = 5_000;
let loop: Reconciler;
let passes: string[];
let warnings: string[];
/** What the next pass does; by default it settles at once. */
let behave: (id: string) => Promise<PassOutcome>;

beforeEach(() => {
  vi.useFakeTimers();
  passes = [];
  warnings = [];
  behave = async () => 'settled';
  loop = reconciler({
    name: 'test',
    periodMs,
    logger: { debug() {}, info() {}, error() {}, warn: (_, message) => warnings.push(message) },
    reconcile: (id) => {
      passes.push(id);
      return behave(id);
    },
  });
});

afterEach(async () => {
  await loop.stop();
  vi.useRealTimers();
});

function held(): { outcome: Promise<PassOutcome>; end: (outcome: PassOutcome) => void } {
  let end: (outcome: PassOutcome) => void = () => {};
  const outcome = new Promise<PassOutcome>((resolve) => {
    end = resolve;
  });
  return { outcome, end };
}

const elapse = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('passes', () => {
  test('one at a time for a resource; resources do not wait for each other', async () => {
    const first = held();
    behave = () => first.outcome;
    loop.wake('a');
    loop.wake('a');
    loop.wake('b');
    await elapse(10_000);
    expect(passes).toEqual(['a', 'b']);
    first.end('settled');
  });

  test('wake-ups during a pass lead to one more', async () => {
    const first = held();
    behave = () => first.outcome;
    loop.wake('a');
    loop.wake('a');
    loop.wake('a');
    behave = async () => 'settled';
    first.end('settled');
    await elapse(0);
    expect(passes).toEqual(['a', 'a']);
    await elapse(periodMs - 1);
    expect(passes).toHaveLength(2);
  });

  test('a settled resource is looked at once a period, one under way much sooner', async () => {
    loop.wake('a');
    await elapse(periodMs * 3);
    expect(passes).toHaveLength(4);
    behave = async () => 'waiting';
    loop.wake('a');
    await elapse(100);
    expect(passes.length).toBe(4 + 1 + 4);
  });

  test('one that fails is tried again after a growing delay, and soon again once it has worked', async () => {
    behave = async () => {
      throw new Error('no');
    };
    loop.wake('a');
    await elapse(0);
    expect(passes).toHaveLength(1);
    await elapse(5 + 10 + 20);
    expect(passes).toHaveLength(4);
    await elapse(60_000);
    const failed = passes.length;
    // At the longest delay, two seconds, for most of the minute.
    expect(failed).toBeGreaterThan(30);
    expect(failed).toBeLessThan(45);
    expect(warnings).toHaveLength(failed);
    behave = async () => 'settled';
    loop.wake('a');
    await elapse(0);
    behave = async () => {
      throw new Error('no');
    };
    loop.wake('a');
    await elapse(5);
    expect(passes).toHaveLength(failed + 3);
  });

  test('a resource that is gone is forgotten', async () => {
    behave = async () => 'gone';
    loop.wake('a');
    await elapse(periodMs * 10);
    expect(passes).toEqual(['a']);
  });

  test('a wake-up during its last pass is kept: it may have been made anew under its name', async () => {
    const last = held();
    behave = () => last.outcome;
    loop.wake('a');
    loop.wake('a');
    behave = async () => 'settled';
    last.end('gone');
    await elapse(0);
    expect(passes).toEqual(['a', 'a']);
  });
});

test('stop waits for the pass that runs, and no other begins', async () => {
  const running = held();
  behave = () => running.outcome;
  loop.wake('a');
  loop.wake('a');
  let stopped = false;
  const stopping = loop.stop().then(() => {
    stopped = true;
  });
  await elapse(10_000);
  expect(stopped).toBe(false);
  running.end('again');
  await stopping;
  loop.wake('b');
  await elapse(10_000);
  expect(passes).toEqual(['a']);
});
