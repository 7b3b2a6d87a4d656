import { expect, test } from 'vitest';
import { lastOccurrence, nextOccurrence, parseSchedule } from './schedule.ts';

const at = (text: string) => Date.parse(text);

function next(text: string, after: string, more: { timezone?: string; start?: string; end?: string } = {}) {
  const found = nextOccurrence(
    {
      schedule: parseSchedule(text)!,
      createdAtMs: at('2026-01-01T00:00:00Z'),
      ...(more.timezone !== undefined && { timezone: more.timezone }),
      ...(more.start !== undefined && { startAtMs: at(more.start) }),
      ...(more.end !== undefined && { endAtMs: at(more.end) }),
    },
    at(after),
  );
  return found === undefined ? undefined : new Date(found).toISOString();
}

test.each([
  'at(2026-02-30T00:00:00)',
  'at(2026-02-03)',
  'rate(0 minutes)',
  'rate(1 minutes)',
  'rate(2 minute)',
  'rate(2 weeks)',
  'cron(* * * * *)',
  'cron(0 10 * * * *)',
  'cron(0 10 ? * ? *)',
  'cron(60 10 * * ? *)',
  'cron(0 24 * * ? *)',
  'cron(0 0 L * ? *)',
  'cron(0 0 ? * 2#1 *)',
  'cron(0/0 0 * * ? *)',
  'cron(5-1 0 * * ? *)',
  'cron(0 0 1 1 ? 2500)',
  'cron(0 0 (1) 1 ? *)',
  'tomorrow',
  '',
  `cron(${'0,'.repeat(300)}0 0 * * ? *)`,
])('refuses %s', (text) => {
  expect(parseSchedule(text)).toBeUndefined();
});

test('at: once, by the clock of its time zone', () => {
  expect(next('at(2026-06-01T08:00:00)', '2026-01-01T00:00:00Z')).toBe('2026-06-01T08:00:00.000Z');
  expect(next('at(2026-06-01T08:00:00)', '2026-01-01T00:00:00Z', { timezone: 'Europe/Berlin' })).toBe(
    '2026-06-01T06:00:00.000Z',
  );
  expect(next('at(2026-06-01T08:00:00)', '2026-06-01T08:00:00Z')).toBeUndefined();
});

test('rate: from its start or its making', () => {
  expect(next('rate(1 hour)', '2026-03-03T10:20:00Z')).toBe('2026-03-03T11:00:00.000Z');
  expect(next('rate(2 days)', '2026-03-03T10:20:00Z', { start: '2026-03-10T07:00:00Z' })).toBe(
    '2026-03-10T07:00:00.000Z',
  );
  expect(next('rate(5 minutes)', '2026-03-03T10:20:00Z', { end: '2026-03-03T10:24:00Z' })).toBeUndefined();
});

test.each([
  ['cron(0 9 ? * MON-FRI *)', '2026-11-21T12:00:00Z', '2026-11-23T09:00:00.000Z'],
  ['cron(0/15 * * * ? *)', '2026-11-21T12:07:00Z', '2026-11-21T12:15:00.000Z'],
  ['cron(30 22 1,15 * ? *)', '2026-11-15T22:30:00Z', '2026-12-01T22:30:00.000Z'],
  ['cron(0 0 29 2 ? *)', '2026-11-15T22:30:00Z', '2028-02-29T00:00:00.000Z'],
  ['cron(0 6 1 JAN ? 2100)', '2026-11-15T22:30:00Z', '2100-01-01T06:00:00.000Z'],
  ['cron(0 8 ? * 1 *)', '2026-11-21T12:00:00Z', '2026-11-22T08:00:00.000Z'],
])('%s after %s', (text, after, expected) => {
  expect(next(text, after)).toBe(expected);
});

test('cron that never comes', () => {
  expect(next('cron(0 0 30 2 ? *)', '2026-01-01T00:00:00Z')).toBeUndefined();
  expect(next('cron(0 0 1 1 ? 2020)', '2026-01-01T00:00:00Z')).toBeUndefined();
});

test('an hour that the clock skips, and one that it shows twice', () => {
  const daily = (after: string) => next('cron(30 2 * * ? *)', after, { timezone: 'Europe/Berlin' });
  expect(daily('2026-03-28T12:00:00Z')).toBe('2026-03-29T01:30:00.000Z');
  expect(daily('2026-03-29T12:00:00Z')).toBe('2026-03-30T00:30:00.000Z');
  expect(daily('2026-10-24T12:00:00Z')).toBe('2026-10-25T00:30:00.000Z');
  // The second 02:30 of that night is none.
  expect(daily('2026-10-25T00:30:00Z')).toBe('2026-10-26T01:30:00.000Z');
});

test.each([
  ['at(2026-03-01T08:00:00)', '2026-03-01T08:00:00Z', '2027-06-01T00:00:00Z', '2026-03-01T08:00:00.000Z'],
  ['rate(1 minute)', '2026-01-01T00:01:00Z', '2027-06-01T00:00:30Z', '2027-06-01T00:00:00.000Z'],
  ['cron(0 8 * * ? *)', '2026-01-01T08:00:00Z', '2026-01-02T09:00:00Z', '2026-01-02T08:00:00.000Z'],
  ['cron(0 8 * * ? *)', '2026-01-01T08:00:00Z', '2026-01-01T23:00:00Z', '2026-01-01T08:00:00.000Z'],
  ['cron(0 8 1 * ? *)', '2026-01-01T08:00:00Z', '2026-12-31T09:00:00Z', '2026-12-01T08:00:00.000Z'],
  ['cron(0 8 1 2 ? *)', '2026-02-01T08:00:00Z', '2028-12-31T09:00:00Z', '2028-02-01T08:00:00.000Z'],
])('the last of %s from %s to %s', (text, first, until, expected) => {
  const what = { schedule: parseSchedule(text)!, createdAtMs: at('2026-01-01T00:00:00Z') };
  expect(new Date(lastOccurrence(what, at(first), at(until))).toISOString()).toBe(expected);
});
