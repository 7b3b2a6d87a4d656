import type { NodeObservation } from '@larder/fleet/host';
import { describe, expect, test } from 'vitest';
import { startHistory } from './start-history.ts';

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

  test('one that keeps ending is started less and less often, at least once a minute', () => {
    const starts = startHistory();
    const waits: number[] = [];
    for (let nowMs = 0, index = 0; index < 16; index += 1) {
      starts.started('a', nowMs);
      const next = starts.earliestStartMs(dead, nowMs + 1).get('a')!;
      waits.push(next - nowMs);
      nowMs = next;
    }
    expect(waits.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(waits.at(-1)).toBe(60_000);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
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
