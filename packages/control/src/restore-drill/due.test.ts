import { describe, expect, test } from 'vitest';
import { saved, snapshot } from '../snapshot/snapshot.test-support.ts';
import { type DrillResult, dueSnapshots, judge, latestSnapshots } from './due.ts';

const hourMs = 3_600_000;
const everyMs = 24 * hourMs;
const kept = (name: string, createdAtMs: number, change: Parameters<typeof snapshot>[0] = {}) =>
  snapshot({ name, status: 'available', createdAtMs, ...change });

const drilled = (name: string, endedAtMs: number): DrillResult => ({
  origin: { resource: 'replication-group', id: 'shop' },
  snapshot: name,
  endedAtMs,
  tookMs: 1,
  outcome: 'passed',
  keysRecorded: 5,
  keysFound: 5,
});

const due = (snapshots: Parameters<typeof dueSnapshots>[0], results: DrillResult[], nowMs: number) =>
  dueSnapshots(snapshots, results, { nowMs, everyMs }).map(({ name }) => name);

describe('which is due', () => {
  test('of each source the newest whole one of its own', () => {
    const all = [
      kept('old', 1),
      kept('new', 2),
      kept('copy', 3, { copiedFrom: 'old' }),
      kept('seed.x', 4, { kind: 'seed' }),
      kept('half', 5, { status: 'creating' }),
      kept('other', 1, { origin: { resource: 'cache-cluster', id: 'shop' } }),
    ];
    expect([...latestSnapshots(all).values()].map(({ name }) => name)).toEqual(['new', 'other']);
  });

  test('at first at once, then after the time between', () => {
    expect(due([kept('a', 0)], [], 10)).toEqual(['a']);
    expect(due([kept('a', 0)], [drilled('a', 0)], everyMs - 1)).toEqual([]);
    expect(due([kept('a', 0)], [drilled('a', 0)], everyMs)).toEqual(['a']);
  });

  test('an automatic one that was not seen, earlier', () => {
    const daily = kept('b', 13 * hourMs, { kind: 'automated' });
    expect(due([daily], [drilled('a', 0)], 13 * hourMs)).toEqual(['b']);
    expect(due([daily], [drilled('a', 2 * hourMs)], 13 * hourMs)).toEqual([]);
    expect(due([daily], [drilled('b', 0)], 13 * hourMs)).toEqual([]);
  });

  test('one that was skipped, after an hour', () => {
    const skipped = { ...drilled('a', 0), outcome: 'skipped' } as const;
    expect(due([kept('a', 0)], [skipped], hourMs - 1)).toEqual([]);
    expect(due([kept('a', 0)], [skipped], hourMs)).toEqual(['a']);
  });

  test('never, when drills are off', () => {
    expect(dueSnapshots([kept('a', 0)], [], { nowMs: 1, everyMs: 0 })).toEqual([]);
  });
});

describe('the judgement', () => {
  const two = kept('two', 0, {
    shards: ['0001', '0002'].map((id) => ({ id, slots: [], zones: ['a'], saved: { ...saved, keys: 5 } })),
  });
  const loaded = (keys: number, expiredKeys = 0) =>
    ({ kind: 'loaded', keys, expiredKeys, tookMs: 1 }) as const;

  test('passes when every shard has the keys it was saved with, also those that are over', () => {
    expect(judge(two, [loaded(5), loaded(3, 2)])).toEqual({
      outcome: 'passed',
      keysRecorded: 10,
      keysFound: 10,
    });
  });

  test('fails at the first that has not, or can not be loaded', () => {
    expect(judge(two, [loaded(5), loaded(4)])).toMatchObject({ outcome: 'failed', keysFound: 9 });
    expect(judge(two, [{ kind: 'failed', because: 'broken' }])).toMatchObject({
      outcome: 'failed',
      because: 'shard 0001: broken',
    });
  });

  test('says nothing when there was no room', () => {
    expect(judge(two, [{ kind: 'skipped', because: 'no room' }])).toMatchObject({ outcome: 'skipped' });
  });
});
