import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keptUntilMs, lastPeriods, periodOf } from './periods.ts';

const at = (text: string): number => Date.parse(text);

test('periods have the names that calendars give them', () => {
  const id = (kind: 'day' | 'week' | 'month', text: string, offset = 0): string =>
    periodOf(kind, at(text), offset).id;
  expect(id('day', '2026-11-23T23:59:59.999Z')).toBe('2026-11-23');
  expect(id('day', '2026-11-23T23:30:00Z', 60)).toBe('2026-11-24');
  expect(id('day', '2026-11-23T00:30:00Z', -60)).toBe('2026-11-22');
  expect(id('month', '2026-12-31T23:30:00Z', 60)).toBe('2027-01');
  // Known from ISO 8601: the year of a week isn't always the date's.
  expect(id('week', '2021-01-03T12:00:00Z')).toBe('2020-W53');
  expect(id('week', '2024-12-30T00:00:00Z')).toBe('2025-W01');
  expect(id('week', '2026-11-23T00:00:00Z')).toBe('2026-W48');
  expect(id('week', '2026-11-22T23:59:59Z')).toBe('2026-W47');
});

test('periods of a kind cover time without gap or overlap, and differ in name', () => {
  const moment = fc.integer({ min: at('1990-01-01'), max: at('2090-01-01') });
  const kind = fc.constantFrom('day', 'week', 'month');
  fc.assert(
    fc.property(moment, kind, fc.integer({ min: -840, max: 840 }), (atMs, of, offset) => {
      const period = periodOf(of, atMs, offset);
      expect(period.startMs).toBeLessThanOrEqual(atMs);
      expect(period.endMs).toBeGreaterThan(atMs);
      for (const same of [period.startMs, period.endMs - 1])
        expect(periodOf(of, same, offset)).toEqual(period);
      const next = periodOf(of, period.endMs, offset);
      expect(next.startMs).toBe(period.endMs);
      expect(next.id > period.id).toBe(true);
      const [, before] = lastPeriods(of, { atMs, offsetMinutes: offset, count: 2 });
      expect(before!.endMs).toBe(period.startMs);
      expect(keptUntilMs(before!, { keep: 2, offsetMinutes: offset })).toBe(period.endMs);
    }),
  );
});
