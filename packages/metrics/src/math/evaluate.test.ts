import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Environment, evaluate, needsOf } from './evaluate.ts';
import { MathError } from './math-error.ts';
import { mostDepth, parseExpression } from './parse.ts';
import { type Series, seriesOf, type Value } from './series.ts';
import { mostExpressionLength } from './tokenise.ts';

/** Five minutes, as `[minute, value]`. */
const series = (label: string, ...points: [number, number][]): Series =>
  seriesOf(
    label,
    60,
    points.map(([minute, value]) => [minute * 60_000, value] as const),
  );

const m1 = series('m1', [0, 1], [1, 2], [2, 3], [4, 5]);
const m2 = series('m2', [0, 10], [1, 0], [3, 30], [4, 50]);
const none = series('none');
const hourly = seriesOf('hourly', 3600, [[0, 1]]);
const range = { startMs: 0, endMs: 300_000 };

const values: Readonly<Record<string, Value>> = {
  m1: { kind: 'series', series: m1 },
  m2: { kind: 'series', series: m2 },
  none: { kind: 'series', series: none },
  hourly: { kind: 'series', series: hourly },
};

const environment: Environment = {
  valueOf: (id) => (Object.hasOwn(values, id) ? values[id] : undefined),
  metrics: [
    { id: 'm1', series: m1 },
    { id: 'm2', series: m2 },
  ],
  found: ({ text, statistic, periodSeconds = 60 }) => [
    seriesOf(`${text} ${statistic}`, periodSeconds, [[0, 7]]),
  ],
  rangeOf: () => range,
  periodSeconds: 60,
};

/** A number; of a series what it has at each minute, `-` for nothing; of an array that of each. */
function worth(text: string): number | string | readonly string[] {
  const value = evaluate(parseExpression(text), environment);
  const show = ({ points }: Series) =>
    [0, 1, 2, 3, 4].map((minute) => points.get(minute * 60_000) ?? '-').join(' ');
  if (value.kind === 'scalar') return value.value;
  if (value.kind === 'series') return show(value.series);
  return value.kind === 'array' ? value.items.map(show) : value.kind;
}

test.each<[string, number | string | readonly string[]]>([
  ['1 + 2 * 3', 7],
  ['(1 + 2) * 3', 9],
  ['10 - 4 - 3', 3],
  ['24 / 4 / 2', 3],
  ['2 ^ 3 ^ 2', 512],
  ['-2 ^ 2', -4],
  ['2 ^ -1', 0.5],
  ['--2', 2],
  ['+2', 2],
  ['1e3 + .5', 1000.5],
  ['2 * -3', -6],
  ['1 < 2', 1],
  ['2 <= 1', 0],
  ['1 == 1 AND 2 != 2', 0],
  ['1 == 1 && 2 == 2 || 0', 1],
  ['0 OR 3', 1],
  ['1 + 1 > 1 AND 1', 1],
  ['m1', '1 2 3 - 5'],
  ['m1 + m2', '11 2 - - 55'],
  ['m2 / m1', '10 0 - - 10'],
  ['m1 / m2', '0.1 - - - 0.1'],
  ['100 * m1', '100 200 300 - 500'],
  ['-m1', '-1 -2 -3 - -5'],
  ['m1 > 2', '0 0 1 - 1'],
  ['m1 >= m2', '0 1 - - 0'],
  ['SUM(m1)', 11],
  ['AVG(m1)', 2.75],
  ['MIN(m2)', 0],
  ['MAX(m2)', 50],
  ['STDDEV(m2)', Math.sqrt((12.5 ** 2 + 22.5 ** 2 + 7.5 ** 2 + 27.5 ** 2) / 4)],
  ['COUNT(m1)', 4],
  ['DATAPOINT_COUNT(none)', 0],
  ['AVG(none)', '- - - - -'],
  ['SUM(METRICS())', '11 2 3 30 55'],
  ["SUM(METRICS('1'))", '1 2 3 - 5'],
  ['AVG([m1, m2])', '5.5 1 3 30 27.5'],
  ['MIN([m1, m2])', '1 0 3 30 5'],
  ['COUNT([m1, m2])', '2 2 1 1 2'],
  ['m1 / SUM(m1) * 11', '1 2 3 - 5'],
  ['DIFF(m1)', '- 1 1 - 2'],
  ['DIFF_TIME(m1)', '- 60 60 - 120'],
  ['RATE(m2 * 60)', '- -10 - 15 20'],
  ['PERIOD(m1)', 60],
  ['PERIOD(hourly)', 3600],
  ['FILL(m1, 0)', '1 2 3 0 5'],
  ['FILL(m1, REPEAT)', '1 2 3 3 5'],
  ['FILL(m1, LINEAR)', '1 2 3 4 5'],
  ['FILL(m1, m2)', '1 2 3 30 5'],
  ['FILL(m2, LINEAR)', '10 0 15 30 50'],
  ['FILL(none, REPEAT)', '- - - - -'],
  ['FILL(METRICS(), 0)', ['1 2 3 0 5', '10 0 0 30 50']],
  ['IF(m1 > 2, 1, 0)', '0 0 1 - 1'],
  ['IF(m1 > 2, m2, m1)', '1 2 - - 50'],
  ['IF(m1 > 2, m1)', '- - 3 - 5'],
  ['IF(1, m1, m2)', '1 2 3 - 5'],
  ['IF(0, m1, 4)', 4],
  ['ABS(m1 - 3)', '2 1 0 - 2'],
  ['ABS(-4)', 4],
  ['CEIL(m1 / 2)', '1 1 2 - 3'],
  ['FLOOR(m1 / 2)', '0 1 1 - 2'],
  ['LOG10(m2)', '1 - - 1.4771212547196624 1.6989700043360187'],
  ['LOG(1)', 0],
  ['RUNNING_SUM(m1)', '1 3 6 - 11'],
  ['TIME_SERIES(3)', '3 3 3 3 3'],
  ['TIME_SERIES(SUM(m1))', '11 11 11 11 11'],
  ['SORT(METRICS(), MAX, DESC)', ['10 0 - 30 50', '1 2 3 - 5']],
  ['SORT(METRICS(), AVG, ASC, 1)', ['1 2 3 - 5']],
  ['SORT([none, m1], AVG, DESC)', ['1 2 3 - 5', '- - - - -']],
  ['SLICE(METRICS(), 1)', ['10 0 - 30 50']],
  ['SLICE(METRICS(), 0, 1)', ['1 2 3 - 5']],
  ['FIRST(METRICS())', '1 2 3 - 5'],
  ['LAST(SORT(METRICS(), SUM, ASC))', '10 0 - 30 50'],
  ['FIRST(SLICE(METRICS(), 5))', '- - - - -'],
  ['METRIC_COUNT(METRICS())', 2],
  ['REMOVE_EMPTY([none, m2])', ['10 0 - 30 50']],
  ['METRICS() * 2', ['2 4 6 - 10', '20 0 - 60 100']],
  ['METRICS() - m1', ['0 0 0 - 0', '9 -2 - - 45']],
  ['MINUTE(m1)', '0 1 2 - 4'],
  ['EPOCH(m1)', '0 60 120 - 240'],
  ['DAY(m1)', '4 4 4 - 4'],
  ['YEAR(m1)', '1970 1970 1970 - 1970'],
  ["SEARCH('{Shop} x', 'Sum', 60)", ['7 - - - -']],
  ["SUM(SEARCH('{Shop} x', 'Sum'))", '7 - - - -'],
])('%s', (text, expected) => {
  expect(worth(text)).toEqual(expected);
});

test.each([
  ['', 'needs a value'],
  ['1 +', 'needs a value'],
  ['1 2', 'needs the end'],
  ['(1', 'needs ")"'],
  ['[m1', 'needs "]"'],
  ['m1 $ 2', "can't be read"],
  ["'open", "can't be read"],
  ['nobody', 'No query has the Id nobody'],
  ['constructor', 'No query has the Id constructor'],
  ['NOPE(m1)', 'no function NOPE'],
  ['ANOMALY_DETECTION_BAND(m1)', 'not supported here'],
  ['toString(m1)', 'no function toString'],
  ['SUM()', 'used as SUM'],
  ['SUM(1)', 'used as SUM'],
  ['SUM(m1, m2)', 'used as SUM'],
  ['FILL(m1, BACKWARDS)', 'used as FILL'],
  ['SORT(METRICS(), MEDIAN, ASC)', 'used as SORT'],
  ['SORT(METRICS(), SUM, UP)', 'used as SORT'],
  ['SLICE(METRICS(), -1)', 'used as SLICE'],
  ['SLICE(METRICS(), 0.5)', 'used as SLICE'],
  ['IF(0, m1)', 'needs its last value'],
  ['[m1, 3]', 'only hold series'],
  ['METRICS() + METRICS()', 'between two arrays'],
  ['m1 + hourly', 'same Period'],
  ['SUM([m1, hourly])', 'same Period'],
  ["m1 + 'a'", 'has no value'],
  ['1 / 0', 'divided by zero'],
  ['-REPEAT', 'has no value'],
  ['METRICS(m1)', 'used as METRICS'],
  ["SEARCH('x')", 'used as SEARCH'],
  ["SEARCH('x', 'Sum', 1.5)", 'used as SEARCH'],
  ['1e999', 'too large'],
  [`${'('.repeat(mostDepth + 2)}1${')'.repeat(mostDepth + 2)}`, 'nests deeper'],
  ['-'.repeat(2000), 'nests deeper'],
  ['1+'.repeat(1000), 'nests deeper'],
  [`1${'^1'.repeat(900)}`, 'nests deeper'],
  ['['.repeat(2000), 'nests deeper'],
  ['1'.repeat(mostExpressionLength + 1), 'up to 2048'],
])('%s is refused', (text, message) => {
  const run = () => {
    const expression = parseExpression(text);
    needsOf(expression);
    return evaluate(expression, environment);
  };
  expect(run).toThrow(MathError);
  expect(run).toThrow(message);
});

test('what an expression needs', () => {
  const needs = needsOf(
    parseExpression("SUM(METRICS()) / (m1 + SUM(SEARCH('{Shop} x', 'p99', 300))) - m2 * m1"),
  );
  expect([...needs.ids]).toEqual(['m1', 'm2']);
  expect(needs.searches).toEqual([{ text: '{Shop} x', statistic: 'p99', periodSeconds: 300 }]);
  expect(needs.usesAllMetrics).toBe(true);
});

interface Calculated {
  readonly text: string;
  readonly value: number;
}

/** Any calculation, fully in parentheses, with what JavaScript makes of it. */
const calculation = fc.letrec<{ all: Calculated; leaf: Calculated; pair: Calculated; negated: Calculated }>(
  (tie) => ({
    leaf: fc.integer({ min: 0, max: 99 }).map((value) => ({ text: String(value), value })),
    pair: fc
      .tuple(tie('all'), fc.constantFrom('+', '-', '*', '<', '>=', '==', 'AND', 'OR'), tie('all'))
      .map(([left, operator, right]) => ({
        text: `(${left.text} ${operator} ${right.text})`,
        value: {
          '+': left.value + right.value,
          '-': left.value - right.value,
          '*': left.value * right.value,
          '<': Number(left.value < right.value),
          '>=': Number(left.value >= right.value),
          '==': Number(left.value === right.value),
          AND: Number(left.value !== 0 && right.value !== 0),
          OR: Number(left.value !== 0 || right.value !== 0),
        }[operator]!,
      })),
    negated: tie('all').map(({ text, value }) => ({ text: `-${text}`, value: -value })),
    all: fc.oneof({ maxDepth: 6 }, tie('leaf'), tie('pair'), tie('negated')),
  }),
).all;

test('calculations are as JavaScript has them, of numbers and of each point of a series', () => {
  fc.assert(
    fc.property(calculation, ({ text, value }) => {
      fc.pre(text.length < 900);
      expect(Number(worth(text)) + 0).toBe(value + 0);
      const added = evaluate(parseExpression(`m1 + ${text}`), environment);
      expect(added.kind === 'series' && [...added.series.points.values()]).toEqual(
        [...m1.points.values()].map((each) => each + value),
      );
    }),
    { numRuns: 500 },
  );
});

test('whatever the text is, it is evaluated or refused as who wrote it can understand', () => {
  const piece = fc.constantFrom(
    ...[
      'm1',
      'm2',
      'none',
      '(',
      ')',
      '[',
      ']',
      ',',
      '+',
      '-',
      '*',
      '/',
      '^',
      '<',
      '>=',
      'AND',
      'OR',
      '1',
      '0',
    ],
    ...['SUM(', 'METRICS()', 'FILL(', 'REPEAT', 'IF(', 'SORT(', "'x'", 'RATE(', 'SLICE(', 'MAX', 'DESC', ' '],
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (each) => {
      try {
        const expression = parseExpression(each);
        needsOf(expression);
        const value = evaluate(expression, environment);
        if (value.kind === 'series') {
          const times = [...value.series.points.keys()];
          expect(times).toEqual([...times].sort((a, b) => a - b));
          for (const point of value.series.points.values()) expect(Number.isFinite(point)).toBe(true);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(MathError);
      }
    }),
    { numRuns: 3_000 },
  );
});
