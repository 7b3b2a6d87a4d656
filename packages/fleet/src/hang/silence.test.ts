import { describe, expect, test } from 'vitest';
import type { Hang } from '../host.ts';
import { onlyCopyLimitMs, probePeriodMs, scriptLimitMs, settleMs, silenceLimitMs } from './limits.ts';
import { type Look, type Silences, silences } from './silence.ts';

/** Silent from a moment on, in the state that the kernel tells of it then. */
interface Engine {
  readonly fromMs: number;
  readonly untilMs?: number;
  readonly state?: string | ((ms: number) => string);
  /** Of its time, that it uses the processor. */
  readonly works?: number;
  readonly change?: Partial<Look>;
}

function look(
  nodeId: string,
  { fromMs, untilMs = Infinity, state = 'S', works = 0, change }: Engine,
  nowMs: number,
): Look {
  const silent = nowMs >= fromMs && nowMs < untilMs;
  const sample = {
    atMs: nowMs,
    state: typeof state === 'string' ? state : state(nowMs),
    cpuMs: works * nowMs,
  };
  return {
    nodeId,
    unansweredSinceMs: silent ? fromMs : undefined,
    proven: true,
    singleThreaded: true,
    ...(silent && { sample }),
    ...change,
  };
}

const begin = settleMs;

/** @returns when each was first seen to hang, counted from `begin`, and how. */
function run(
  engines: Readonly<Record<string, Engine>>,
  { forMs = 60_000, late = {} as Readonly<Record<number, number>> } = {},
): Record<string, { atMs: number; how: Hang['how'] }> {
  const judge: Silences = silences(0);
  const first: Record<string, { atMs: number; how: Hang['how'] }> = {};
  let lateBy = 0;
  for (let at = probePeriodMs; at <= begin + forMs; at += probePeriodMs) {
    lateBy += late[at - begin] ?? 0;
    const nowMs = at + lateBy;
    const looks = Object.entries(engines).map(([id, engine]) => look(id, engine, nowMs));
    for (const [id, { how }] of judge.round(nowMs, looks)) first[id] ??= { atMs: nowMs - begin, how };
  }
  return first;
}

const others = (count: number, engine: Engine) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`other-${index}`, engine]));

describe('a silence', () => {
  test.each([
    ['stopped by a signal', { state: 'T' }, 'stopped', silenceLimitMs.stopped],
    ['stopped by a debugger', { state: 't' }, 'stopped', silenceLimitMs.stopped],
    ['asleep', { state: 'S' }, 'idle', silenceLimitMs.idle],
    ['waiting for a disk', { state: 'D' }, 'blocked', silenceLimitMs.blocked],
    ['at work', { state: 'R', works: 1 }, 'spinning', silenceLimitMs.spinning],
    ['at work, with pauses', { state: 'S', works: 0.3 }, 'spinning', silenceLimitMs.spinning],
    ['ready to run, and let by nobody', { state: 'R' }, 'spinning', silenceLimitMs.spinning],
  ] as const)('of one that is %s', (_, engine, how, atMs) => {
    expect(run({ a: { fromMs: begin, ...engine } })).toEqual({ a: { atMs, how } });
  });

  test('that ends in time is none', () => {
    const short = { fromMs: begin, untilMs: begin + silenceLimitMs.stopped - 1, state: 'T' };
    expect(run({ a: short, b: { fromMs: Infinity } })).toEqual({});
  });

  test('of one that is only stopped now and then, or comes back from the disk, is none for long', () => {
    const flickers = (ms: number) => (Math.round(ms / probePeriodMs) % 3 === 0 ? 'R' : 'T');
    expect(run({ a: { fromMs: begin, state: flickers } }, { forMs: 20_000 })).toEqual({});
    const swaps = (ms: number) => (Math.round(ms / probePeriodMs) % 2 === 0 ? 'R' : 'D');
    expect(run({ a: { fromMs: begin, state: swaps, works: 0.2 } }, { forMs: 20_000 })).toEqual({});
  });

  test('says little of a connection that was never taken up, or of one thread among many', () => {
    for (const change of [{ proven: false }, { singleThreaded: false }]) {
      const seen = run({ asleep: { fromMs: begin, change }, stopped: { fromMs: begin, state: 'T', change } });
      expect(seen).toEqual({
        asleep: { atMs: silenceLimitMs.spinning, how: 'spinning' },
        stopped: { atMs: silenceLimitMs.stopped, how: 'stopped' },
      });
    }
  });

  test('of a process that is gone is for others to tell', () => {
    const gone = { fromMs: Infinity, change: { unansweredSinceMs: begin } };
    expect(run({ a: gone })).toEqual({});
  });
});

test('a script that can not be ended is a hang, though it is answered', () => {
  const judge = silences(0);
  const busy = look('a', { fromMs: Infinity, change: { unkillableSinceMs: 5_000 } }, 40_000);
  for (let nowMs = probePeriodMs; nowMs < 40_000; nowMs += probePeriodMs) judge.round(nowMs, []);
  expect([...judge.round(40_000, [busy])]).toEqual([['a', { how: 'spinning', silentMs: 35_000 }]]);
});

describe('doubts of ourselves', () => {
  test('a round that was late begins the count anew, but of those that are stopped', () => {
    const engines = { asleep: { fromMs: begin }, stopped: { fromMs: begin, state: 'T' } };
    const seen = run(engines, { late: { 400: 150 } });
    expect(seen.stopped).toEqual({ atMs: silenceLimitMs.stopped + 150, how: 'stopped' });
    expect(seen.asleep!.atMs).toBeGreaterThanOrEqual(400 + 150 + silenceLimitMs.idle);
  });

  test('after we were stopped ourselves nothing hangs for a while', () => {
    const stopped = { fromMs: begin, state: 'T' };
    const seen = run({ a: stopped }, { late: { 400: 60_000 } });
    expect(seen.a!.atMs).toBe(400 + 60_000 + settleMs);
  });

  test('nothing hangs right after the beginning', () => {
    const judge = silences(0);
    for (let nowMs = probePeriodMs; nowMs < settleMs; nowMs += probePeriodMs) {
      expect(judge.round(nowMs, [look('a', { fromMs: 0, state: 'T' }, nowMs)]).size).toBe(0);
    }
  });

  test('when most engines are silent at once it is the machine, but not when they are stopped', () => {
    const quiet = { fromMs: begin };
    expect(run(others(5, quiet))).toEqual({});
    expect(run({ ...others(3, quiet), ...others(2, { fromMs: Infinity }) })).not.toEqual({});
    expect(Object.keys(run({ ...others(5, { ...quiet, state: 'T' }) }))).toHaveLength(5);
    // Fewer than four say nothing of the machine.
    expect(Object.keys(run(others(3, quiet)))).toHaveLength(3);
  });
});

test('an engine is blamed sooner the surer it is', () => {
  const { stopped, idle, blocked, spinning } = silenceLimitMs;
  const limits = [stopped, idle, blocked, spinning, scriptLimitMs, onlyCopyLimitMs];
  expect(limits).toEqual([...limits].sort((a, b) => a - b));
  for (const each of limits) expect(each % probePeriodMs).toBe(0);
});
