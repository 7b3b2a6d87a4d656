import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AlarmPoint,
  type AlarmRule,
  type AlarmState,
  evaluateAlarm,
  evaluationRange,
  type MissingTreatment,
  reasonOf,
  significantSamples,
  treatments,
} from './evaluate-alarm.ts';

/** `0` does not breach, `X` does, `-` is missing; the newest comes last. */
const points = (text: string): (AlarmPoint | undefined)[] =>
  text
    .split(' ')
    .map((each, index) =>
      each === '-' ? undefined : { startMs: index * 60_000, value: each === 'X' ? 9 : 1 },
    );

const rule = (m: number, n: number, treatMissingData: MissingTreatment = 'missing'): AlarmRule => ({
  comparison: 'GreaterThanThreshold',
  threshold: 5,
  evaluationPeriods: n,
  datapointsToAlarm: m,
  treatMissingData,
});

const state = (text: string, m: number, n: number, treatment: MissingTreatment, current: AlarmState = 'OK') =>
  evaluateAlarm(rule(m, n, treatment), points(text), current).state;

/** What stays as it was. */
const kept = 'kept';
const none = 'INSUFFICIENT_DATA';

// The tables of CloudWatch's documentation: how alarms treat missing data, for 3 evaluation periods.
test.each<[number, string, number, string, string, string, string]>([
  [3, '0 - X - X', 0, 'OK', 'OK', 'OK', 'OK'],
  [3, '- - - - 0', 2, 'OK', 'OK', 'OK', 'OK'],
  [3, '- - - - -', 3, none, kept, 'ALARM', 'OK'],
  [3, '0 X X - X', 0, 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
  [3, '- - X - -', 2, 'ALARM', kept, 'ALARM', 'OK'],
  [2, '0 - X - X', 0, 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
  [2, '0 0 X 0 X', 0, 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
  [2, '0 - X - -', 1, 'OK', 'OK', 'ALARM', 'OK'],
  [2, '- - - - 0', 2, 'OK', 'OK', 'ALARM', 'OK'],
  [2, '- - - X -', 2, 'ALARM', kept, 'ALARM', 'OK'],
  // What is too young might be followed by a value that does not breach.
  [3, '- - - - X', 2, kept, kept, 'ALARM', 'OK'],
  [3, '- - - X -', 2, kept, kept, 'ALARM', 'OK'],
  [3, '- - - X 0', 1, 'OK', 'OK', 'OK', 'OK'],
  [3, '- - X - 0', 1, 'OK', 'OK', 'OK', 'OK'],
  [2, '- - - - X', 2, kept, kept, 'ALARM', 'OK'],
])('%i of 3 for %s', (m, text, filled, missing, ignore, breaching, notBreaching) => {
  const expected = { missing, ignore, breaching, notBreaching };
  for (const treatment of treatments) {
    for (const current of ['OK', 'ALARM', none] as const) {
      const verdict = evaluateAlarm(rule(m, 3, treatment), points(text), current);
      expect([treatment, verdict.state]).toEqual([
        treatment,
        expected[treatment] === kept ? current : expected[treatment],
      ]);
      // With as many values as periods none is missing.
      expect(verdict.filled).toBe(filled);
    }
  }
});

test.each<[string, number, number, AlarmState]>([
  ['0 0 X', 1, 1, 'ALARM'],
  ['X X 0', 1, 1, 'OK'],
  ['X - -', 1, 1, 'ALARM'],
  ['0 0 X X X X X', 5, 5, 'ALARM'],
  ['X X X X 0 X X', 5, 5, 'OK'],
  ['0 0 X 0 X 0 X', 3, 5, 'ALARM'],
  ['X X 0 0 X 0 X', 3, 5, 'OK'],
])('%s for %i of %i', (text, m, n, expected) => {
  for (const treatment of treatments) expect(state(text, m, n, treatment)).toBe(expected);
});

test.each([
  ['GreaterThanThreshold', 5, false],
  ['GreaterThanOrEqualToThreshold', 5, true],
  ['LessThanThreshold', 5, false],
  ['LessThanOrEqualToThreshold', 5, true],
  ['LessThanThreshold', 4.9, true],
  ['GreaterThanThreshold', 5.1, true],
] as const)('%s 5 with %d', (comparison, value, breaches) => {
  const verdict = evaluateAlarm({ ...rule(1, 1), comparison }, [{ startMs: 0, value }], 'OK');
  expect(verdict.state).toBe(breaches ? 'ALARM' : 'OK');
});

test('a percentile of too few samples changes nothing', () => {
  for (const current of ['OK', 'ALARM', none] as const) {
    const few = { startMs: 0, value: 9, isTooFew: true };
    expect(evaluateAlarm(rule(1, 1), [few], current).state).toBe(current);
    // It is not among those that decide.
    expect(evaluateAlarm(rule(1, 1), [few, { startMs: 60_000, value: 9 }], current).state).toBe('ALARM');
  }
  expect([50, 90, 99, 10, 0, 100].map(significantSamples).map(Math.round)).toEqual([
    20, 100, 1000, 100, 10, 10,
  ]);
});

test('reasons say what was seen', () => {
  const reason = (text: string, m: number, n: number, treatment: MissingTreatment = 'missing') => {
    const alarm = rule(m, n, treatment);
    return reasonOf(alarm, evaluateAlarm(alarm, points(text), 'OK'));
  };
  expect(reason('0 0 X', 1, 1)).toBe(
    'Threshold Crossed: 1 out of the last 1 datapoint [9 (01/01/70 00:02:00)] was greater than the threshold (5) (minimum 1 datapoint for OK -> ALARM transition).',
  );
  expect(reason('0 0 0', 2, 3)).toContain(
    'were not greater than the threshold (5) (minimum 2 datapoints for ALARM -> OK',
  );
  expect(reason('- - -', 1, 1)).toBe('Insufficient Data: 1 datapoint was unknown.');
  expect(reason('- - -', 1, 1, 'breaching')).toBe(
    'Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching] (minimum 1 datapoint for OK -> ALARM transition).',
  );
});

const cell = fc.constantFrom('0', 'X', '-');
const ofRange = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
  .map(([a, b]) => ({ m: Math.min(a, b), n: Math.max(a, b) }))
  .chain(({ m, n }) =>
    fc
      .array(cell, { minLength: evaluationRange(n), maxLength: evaluationRange(n) })
      .map((cells) => ({ m, n, text: cells.join(' ') })),
  );

test('treatments are ordered, and one value more that breaches never takes an alarm away', () => {
  const rank = { OK: 0, INSUFFICIENT_DATA: 1, ALARM: 2 };
  fc.assert(
    fc.property(ofRange, ({ m, n, text }) => {
      const of = (treatment: MissingTreatment) => state(text, m, n, treatment);
      expect(rank[of('notBreaching')]).toBeLessThanOrEqual(rank[of('breaching')]);
      if (of('notBreaching') === 'ALARM') for (const each of treatments) expect(of(each)).toBe('ALARM');
      if (of('breaching') === 'OK') for (const each of treatments) expect(of(each)).toBe('OK');
      if (!text.includes('-')) expect(new Set(treatments.map(of)).size).toBe(1);
      const worse = text.replace('0', 'X');
      for (const each of ['breaching', 'notBreaching'] as const) {
        if (of(each) === 'ALARM') expect(state(worse, m, n, each)).toBe('ALARM');
      }
    }),
    { numRuns: 1_000 },
  );
});
