import type { NodeObservation } from '@larder/fleet/host';
import { describe, expect, test } from 'vitest';
import { type StartHistory, startHistory } from './start-history.ts';

const incarnation = { pid: 1, startTicks: 1 };
const seen = (process: NodeObservation['process']) => new Map([['a', { nodeId: 'a', process }]]);
const dead = seen({ kind: 'dead', incarnation, how: 'reaped' });
const running = seen({ kind: 'running', incarnation });

describe('the start history', () => {
  test('a node that lived a while is started at once when it dies', () => {
    const starts = startHistory();
    expect(starts.earliestStartMs(dead, 0).get('a')).toBeUndefined();
    starts.started('a', 1_000);
    expect(starts.earliestStartMs(running, 1_001).size).toBe(0);
    expect(starts.earliestStartMs(dead, 10_000).size).toBe(0);
  });

  /** Starts it as soon as it may be, and finds it ended, until it may not be any more. @returns the waits. */
  function crashLoop(starts: StartHistory): number[] {
    const waits: number[] = [];
    for (let nowMs = 0; waits.length < 100; ) {
      starts.started('a', nowMs);
      const next = starts.earliestStartMs(dead, nowMs + 1).get('a')!;
      waits.push(next - nowMs);
      if (next === Number.POSITIVE_INFINITY) break;
      expect(starts.givenUp(dead).size).toBe(0);
      nowMs = next;
    }
    return waits;
  }

  test('one that keeps ending is started less and less often, for a minute or two, and then not any more', () => {
    const starts = startHistory();
    const waits = crashLoop(starts);
    expect(waits.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(waits.at(-1)).toBe(Number.POSITIVE_INFINITY);
    expect(waits.slice(0, -1).reduce((sum, each) => sum + each)).toBeGreaterThan(60_000);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect([...starts.givenUp(dead)]).toEqual([['a', waits.length]]);
    starts.told('a');
    expect(starts.givenUp(dead).size).toBe(0);
    expect(starts.earliestStartMs(dead, 1e9).get('a')).toBe(Number.POSITIVE_INFINITY);
  });

  test('one that was given up is tried again when somebody asks, and told of again', () => {
    const starts = startHistory();
    const waits = crashLoop(starts);
    starts.told('a');
    starts.forgive('a');
    expect(starts.earliestStartMs(dead, 0).size).toBe(0);
    expect(crashLoop(starts)).toEqual(waits);
    expect([...starts.givenUp(dead)]).toHaveLength(1);
  });

  test('what it failed before it was seen to live a while does not count', () => {
    const starts = startHistory();
    for (let nowMs = 0; nowMs < 60_000; nowMs = starts.earliestStartMs(dead, nowMs + 1).get('a')!) {
      starts.started('a', nowMs);
    }
    starts.started('a', 60_000);
    starts.earliestStartMs(running, 60_500);
    expect(starts.earliestStartMs(dead, 60_600).size).toBe(1);
    starts.earliestStartMs(running, 63_000);
    expect(starts.earliestStartMs(dead, 63_001).size).toBe(0);
  });

  test('it is given up after several quick ends, and forgiven when it has lived', () => {
    const starts = startHistory();
    let nowMs = 0;
    const fail = () => {
      starts.started('a', nowMs);
      nowMs = starts.earliestStartMs(dead, nowMs + 1).get('a')!;
    };
    fail();
    expect(starts.keepFailing(dead)).toBe(false);
    for (let index = 0; index < 6; index += 1) fail();
    expect(starts.keepFailing(dead)).toBe(true);
    expect(starts.keepFailing(running)).toBe(false);
    starts.started('a', nowMs + 600_000);
    expect(starts.keepFailing(dead)).toBe(false);
  });

  test('one that is ended on purpose is started again at once, however often', () => {
    const starts = startHistory();
    for (let nowMs = 0; nowMs < 1_000; nowMs += 50) {
      starts.started('a', nowMs);
      starts.restarting('a');
      expect(starts.earliestStartMs(dead, nowMs + 1).get('a')).toBeUndefined();
    }
    expect(starts.keepFailing(dead)).toBe(false);
  });
});
