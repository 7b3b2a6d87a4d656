/** (pure) The functions of metric math. A function that is not here is refused by its name. */
import { MathError } from './math-error.ts';
import {
  acrossSeries,
  mapPoints,
  type Range,
  type Series,
  scalar,
  seriesOf,
  timesOf,
  type Value,
} from './series.ts';

export interface FunctionContext {
  /** Of the periods of that length that are asked for. */
  readonly rangeOf: (periodSeconds: number) => Range;
  /** Of series that are made from nothing. */
  readonly periodSeconds: number;
}

interface MathFunction {
  /** As people write it. */
  readonly usage: string;
  readonly least: number;
  readonly most: number;
  readonly run: (given: readonly Value[], context: FunctionContext, usage: string) => Value;
}

type Aggregate = (values: readonly number[]) => number;

const sum: Aggregate = (values) => values.reduce((total, each) => total + each, 0);
const mean: Aggregate = (values) => sum(values) / values.length;
const aggregates: Readonly<Record<string, Aggregate>> = {
  SUM: sum,
  AVG: mean,
  // Not by spreading: a series may have more values than a call arguments.
  MIN: (values) => values.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY),
  MAX: (values) => values.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY),
  /** Of the values themselves, not estimated from them as a sample. */
  STDDEV(values) {
    const middle = mean(values);
    return Math.sqrt(mean(values.map((each) => (each - middle) ** 2)));
  },
  DATAPOINT_COUNT: (values) => values.length,
  COUNT: (values) => values.length,
};

/** What SORT may go by. */
const sortedBy = ['AVG', 'MIN', 'MAX', 'SUM'];

/** Over a series a number; over an array a series. */
function aggregate(name: string): MathFunction {
  const of = aggregates[name]!;
  return {
    usage: `${name}(series or array)`,
    least: 1,
    most: 1,
    run([given], _, usage) {
      if (given?.kind === 'array') return { kind: 'series', series: acrossSeries(given.items, name, of) };
      if (given?.kind !== 'series') throw needs(usage);
      const values = [...given.series.points.values()];
      if (values.length === 0 && !name.endsWith('COUNT')) {
        // Of no values there is none: as a series it has no points.
        return { kind: 'series', series: seriesOf(name, given.series.periodSeconds, []) };
      }
      return scalar(of(values));
    },
  };
}

/** A series from a series; of an array each. */
function onEach(
  name: string,
  change: (series: Series) => Series,
  ofScalar?: (value: number) => number,
): MathFunction {
  return {
    usage: `${name}(series or array)`,
    least: 1,
    most: 1,
    run([given], _, usage) {
      if (given?.kind === 'scalar' && ofScalar !== undefined) return scalar(ofScalar(given.value));
      return eachOf(given, usage, change);
    },
  };
}

function eachOf(given: Value | undefined, usage: string, change: (series: Series) => Series): Value {
  if (given?.kind === 'series') return { kind: 'series', series: change(given.series) };
  if (given?.kind === 'array') return { kind: 'array', items: given.items.map(change) };
  throw needs(usage);
}

function onValues(name: string, change: (value: number) => number): MathFunction {
  return onEach(name, (series) => mapPoints(series, change), change);
}

function onTimes(name: string, read: (date: Date) => number): MathFunction {
  return onEach(name, (series) => mapPoints(series, (_, atMs) => read(new Date(atMs))));
}

/** Of each point and the one before; the first has none. */
function onSteps(
  name: string,
  of: (step: { readonly value: number; readonly seconds: number }) => number,
): MathFunction {
  return onEach(name, (series) => {
    const points = [...series.points];
    return seriesOf(
      series.label,
      series.periodSeconds,
      points.slice(1).map(([atMs, value], index) => {
        const [beforeMs, before] = points[index]!;
        return [atMs, of({ value: value - before, seconds: (atMs - beforeMs) / 1000 })] as const;
      }),
    );
  });
}

function runningSum(series: Series): Series {
  let total = 0;
  return mapPoints(series, (value) => {
    total += value;
    return total;
  });
}

const fill: MathFunction = {
  usage: 'FILL(series or array, a number, another series, REPEAT or LINEAR)',
  least: 2,
  most: 2,
  run([given, filler], context, usage) {
    return eachOf(given, usage, (series) => {
      const times = timesOf(context.rangeOf(series.periodSeconds), series.periodSeconds);
      const missing = missingBy(series, filler, usage);
      return seriesOf(
        series.label,
        series.periodSeconds,
        times.map((atMs) => [atMs, series.points.get(atMs) ?? missing(atMs)] as const),
      );
    });
  },
};

/** What stands for a missing point; NaN for nothing, where there is nothing to go by. */
function missingBy(series: Series, filler: Value | undefined, usage: string): (atMs: number) => number {
  if (filler?.kind === 'scalar') return () => filler.value;
  if (filler?.kind === 'series') return (atMs) => filler.series.points.get(atMs) ?? Number.NaN;
  if (filler?.kind !== 'word' || !['REPEAT', 'LINEAR'].includes(filler.word)) throw needs(usage);
  const points = [...series.points];
  // Asked for in the order of time.
  let next = 0;
  return (atMs) => {
    while (next < points.length && points[next]![0] < atMs) next += 1;
    const before = points[next - 1];
    const after = points[next];
    if (before === undefined) return Number.NaN;
    if (filler.word === 'REPEAT') return before[1];
    if (after === undefined) return Number.NaN;
    return before[1] + ((after[1] - before[1]) * (atMs - before[0])) / (after[0] - before[0]);
  };
}

const sort: MathFunction = {
  usage: `SORT(array, ${sortedBy.join(', ')}, ASC or DESC, how many)`,
  least: 3,
  most: 4,
  run([given, by, order, limit], _, usage) {
    if (given?.kind !== 'array' || by?.kind !== 'word' || !sortedBy.includes(by.word)) throw needs(usage);
    if (order?.kind !== 'word' || !['ASC', 'DESC'].includes(order.word)) throw needs(usage);
    const most = limit === undefined ? given.items.length : index(limit, usage);
    const ranked = given.items.map((series) => {
      const values = [...series.points.values()];
      return { series, rank: values.length === 0 ? undefined : aggregates[by.word]!(values) };
    });
    const direction = order.word === 'ASC' ? 1 : -1;
    ranked.sort((a, b) => {
      // Series without values come last, either way.
      if (a.rank === undefined || b.rank === undefined)
        return Number(a.rank === undefined) - Number(b.rank === undefined);
      return (a.rank - b.rank) * direction;
    });
    return { kind: 'array', items: ranked.slice(0, most).map(({ series }) => series) };
  },
};

const slice: MathFunction = {
  usage: 'SLICE(array, from, to)',
  least: 2,
  most: 3,
  run([given, from, to], _, usage) {
    if (given?.kind !== 'array' || from === undefined) throw needs(usage);
    const end = to === undefined ? undefined : index(to, usage);
    return { kind: 'array', items: given.items.slice(index(from, usage), end) };
  },
};

function oneOf(name: 'FIRST' | 'LAST', at: 0 | -1): MathFunction {
  return {
    usage: `${name}(array)`,
    least: 1,
    most: 1,
    run([given], { periodSeconds }, usage) {
      if (given?.kind !== 'array') throw needs(usage);
      return { kind: 'series', series: given.items.at(at) ?? seriesOf(name, periodSeconds, []) };
    },
  };
}

const choose: MathFunction = {
  usage: 'IF(condition, value when it is not 0, value when it is 0)',
  least: 2,
  most: 3,
  run([condition, yes, no], _, usage) {
    if (condition?.kind === 'scalar') {
      const chosen = condition.value !== 0 ? yes : no;
      if (chosen === undefined) throw new MathError(`Here ${usage} needs its last value.`);
      return chosen;
    }
    return eachOf(condition, usage, (series) => {
      const of = [yes, no].map((each) => {
        if (each === undefined) return () => undefined;
        if (each.kind === 'scalar') return () => each.value;
        if (each.kind !== 'series') throw needs(usage);
        if (each.series.periodSeconds !== series.periodSeconds && each.series.points.size > 0) {
          throw new MathError(`In ${usage} all series need the same period.`);
        }
        return (atMs: number) => each.series.points.get(atMs);
      });
      return mapPoints(series, (value, atMs) => of[value !== 0 ? 0 : 1]!(atMs) ?? Number.NaN);
    });
  },
};

export const mathFunctions: ReadonlyMap<string, MathFunction> = new Map([
  ...Object.keys(aggregates).map((name) => [name, aggregate(name)] as const),
  ['ABS', onValues('ABS', Math.abs)],
  ['CEIL', onValues('CEIL', Math.ceil)],
  ['FLOOR', onValues('FLOOR', Math.floor)],
  ['LOG', onValues('LOG', Math.log)],
  ['LOG10', onValues('LOG10', Math.log10)],
  ['RUNNING_SUM', onEach('RUNNING_SUM', runningSum)],
  ['DIFF', onSteps('DIFF', ({ value }) => value)],
  ['DIFF_TIME', onSteps('DIFF_TIME', ({ seconds }) => seconds)],
  ['RATE', onSteps('RATE', ({ value, seconds }) => value / seconds)],
  ['MINUTE', onTimes('MINUTE', (date) => date.getUTCMinutes())],
  ['HOUR', onTimes('HOUR', (date) => date.getUTCHours())],
  // From 1, Monday.
  ['DAY', onTimes('DAY', (date) => ((date.getUTCDay() + 6) % 7) + 1)],
  ['DATE', onTimes('DATE', (date) => date.getUTCDate())],
  ['MONTH', onTimes('MONTH', (date) => date.getUTCMonth() + 1)],
  ['YEAR', onTimes('YEAR', (date) => date.getUTCFullYear())],
  ['EPOCH', onTimes('EPOCH', (date) => date.getTime() / 1000)],
  ['FILL', fill],
  ['IF', choose],
  ['SORT', sort],
  ['SLICE', slice],
  ['FIRST', oneOf('FIRST', 0)],
  ['LAST', oneOf('LAST', -1)],
  [
    'PERIOD',
    {
      usage: 'PERIOD(series)',
      least: 1,
      most: 1,
      run([given], _, usage) {
        if (given?.kind !== 'series') throw needs(usage);
        return scalar(given.series.periodSeconds);
      },
    },
  ],
  [
    'METRIC_COUNT',
    {
      usage: 'METRIC_COUNT(array)',
      least: 1,
      most: 1,
      run([given], _, usage) {
        if (given?.kind !== 'array') throw needs(usage);
        return scalar(given.items.length);
      },
    },
  ],
  [
    'REMOVE_EMPTY',
    {
      usage: 'REMOVE_EMPTY(array)',
      least: 1,
      most: 1,
      run([given], _, usage) {
        if (given?.kind !== 'array') throw needs(usage);
        return { kind: 'array', items: given.items.filter(({ points }) => points.size > 0) };
      },
    },
  ],
  [
    'TIME_SERIES',
    {
      usage: 'TIME_SERIES(number)',
      least: 1,
      most: 1,
      run([given], { periodSeconds, rangeOf }, usage) {
        if (given?.kind !== 'scalar') throw needs(usage);
        const times = timesOf(rangeOf(periodSeconds), periodSeconds);
        const points = times.map((atMs) => [atMs, given.value] as const);
        return { kind: 'series', series: seriesOf('TIME_SERIES', periodSeconds, points) };
      },
    },
  ],
]);

function index(given: Value, usage: string): number {
  if (given.kind === 'scalar' && Number.isInteger(given.value) && given.value >= 0) return given.value;
  throw needs(usage);
}

function needs(usage: string): MathError {
  return new MathError(`It is used as ${usage}.`);
}
