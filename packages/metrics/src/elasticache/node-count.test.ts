import { expect, test } from 'vitest';
import { type CountedReading, countOn, type NodeCount } from './node-count.ts';

const reading = (
  counts: Record<string, number>,
  rest: Partial<Pick<CountedReading, 'run' | 'watch' | 'atMs'>> = {},
): CountedReading => ({ atMs: 0, run: 'first', watch: 'w', ...rest, counts });

/** Totals of the last of the readings, one after the other. */
function totalsOf(...readings: readonly CountedReading[]): Record<string, number> {
  let count: NodeCount | undefined;
  for (const each of readings) count = countOn(count, each);
  return count!.totals;
}

test('what was counted before the first reading is nobody’s', () => {
  expect(totalsOf(reading({ keyspace_hits: 1_000, used_memory: 7 }))).toEqual({ keyspace_hits: 0 });
});

test('increases are added up, and what stands is no increase', () => {
  const first = reading({ keyspace_hits: 10, hash_calls: 1, used_memory: 7 });
  expect(totalsOf(first, reading({ keyspace_hits: 15, hash_calls: 4, used_memory: 3 }))).toEqual({
    keyspace_hits: 5,
    hash_calls: 3,
  });
});

test.each([
  ['an engine that was started anew', 'second', 4, 4],
  ['one whose counters passed the last ones by then', 'second', 5_000, 5_000],
  ['CONFIG RESETSTAT', 'first', 4, 4],
])('%s begins again: what it counts came since', (_, run, hits, rose) => {
  expect(totalsOf(reading({ keyspace_hits: 1_000 }), reading({ keyspace_hits: hits }, { run }))).toEqual({
    keyspace_hits: rose,
  });
});

test('an offset that a new run takes over is not its doing', () => {
  const before = reading({ master_repl_offset: 10 });
  expect(totalsOf(before, reading({ master_repl_offset: 1e9 }, { run: 'second' }))).toEqual({
    master_repl_offset: 0,
  });
  expect(totalsOf(before, reading({ master_repl_offset: 25 }))).toEqual({ master_repl_offset: 15 });
});

test('own connections are those of whoever watches now', () => {
  const before = reading({ own_connections_opened: 9 });
  expect(totalsOf(before, reading({ own_connections_opened: 11 }))).toEqual({ own_connections_opened: 2 });
  const another = reading({ own_connections_opened: 11 }, { watch: 'other' });
  expect(totalsOf(before, another)).toEqual({ own_connections_opened: 11 });
});

test('a family that was never called until now rose from zero', () => {
  expect(totalsOf(reading({}), reading({ geospatial_calls: 3 }))).toEqual({ geospatial_calls: 3 });
});
