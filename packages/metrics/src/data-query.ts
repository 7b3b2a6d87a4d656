/** Queries for metrics and for what expressions make of them, as GetMetricData and alarms ask them. */
import { setImmediate } from 'node:timers/promises';
import { evaluate, needsOf, type Search } from './math/evaluate.ts';
import { MathError } from './math/math-error.ts';
import { type Expression, parseExpression, partsOf } from './math/parse.ts';
import { finder, parseSearch } from './math/search.ts';
import { type Range, type Series, seriesOf, type Value } from './math/series.ts';
import { type Metric, metricKey, type Unit } from './metric.ts';
import type { MetricReader } from './metric-store.ts';
import { isPeriod, keptMs } from './periods.ts';
import { ofOneUnit, readPoints } from './read-points.ts';
import { parseStatistic, type Statistic, statisticOf } from './statistics.ts';

export interface MetricQuery {
  readonly kind: 'metric';
  readonly id: string;
  readonly metric: Metric;
  readonly statistic: Statistic;
  readonly periodSeconds: number;
  readonly unit?: Unit | undefined;
}

export interface ExpressionQuery {
  readonly kind: 'expression';
  readonly id: string;
  readonly expression: Expression;
  /** Of searches that say none, and of series that are made from nothing. */
  readonly periodSeconds?: number | undefined;
}

export type DataQuery = MetricQuery | ExpressionQuery;

export interface QueryResult {
  /** One, but for an expression that is an array. */
  readonly series: readonly Series[];
  /** Of a metric that has data of several units, of which one is taken: all of them. */
  readonly severalUnits?: readonly Unit[];
  readonly isArray: boolean;
}

const defaultPeriodSeconds = 60;
/** In all expressions of a request. */
export const mostSearches = 10;
export const mostFound = 100;
const searchedMs = 14 * 24 * 3_600_000;

/** @throws MathError */
export function parseQueryExpression(text: string): Expression {
  if (/^\s*SELECT\s/i.test(text)) throw new MathError('Metrics Insights queries are not supported here.');
  const expression = parseExpression(text);
  // Refuses functions that are not known.
  needsOf(expression);
  return expression;
}

/**
 * Checks what queries need of each other.
 * @throws MathError for a circle, an id that nothing has, or too many searches.
 */
export function checkQueries(queries: readonly DataQuery[]): void {
  const byId = new Map(queries.map((query) => [query.id, query]));
  const done = new Set<string>();
  let searches = 0;
  function visit(query: DataQuery, path: readonly string[]): void {
    if (done.has(query.id) || query.kind === 'metric') return;
    if (path.includes(query.id)) {
      throw new MathError(`The expressions ${[...path, query.id].join(', ')} need each other.`);
    }
    const needs = needsOf(query.expression);
    searches += needs.searches.length;
    for (const id of needs.ids) {
      const other = byId.get(id);
      if (other === undefined) throw new MathError(`No query has the Id ${id.slice(0, 60)}.`);
      visit(other, [...path, query.id]);
    }
    for (const search of needs.searches) checkSearch(search);
    done.add(query.id);
  }
  for (const query of queries) visit(query, []);
  if (searches > mostSearches)
    throw new MathError(`Expressions can have up to ${mostSearches} SEARCHes in all.`);
}

function checkSearch({ text, statistic, periodSeconds = defaultPeriodSeconds }: Search): void {
  parseSearch(text);
  if (parseStatistic(statistic) === undefined) {
    throw new MathError(`${statistic.slice(0, 40)} is no statistic.`);
  }
  if (!isPeriod(periodSeconds)) throw new MathError(`A SEARCH can't have a period of ${periodSeconds} s.`);
}

/** What one request may read, and calculate with: a value counts once for each step that it goes through. */
export const mostRead = 1_000_000;
export const mostWork = 10_000_000;

interface Effort {
  read: number;
  work: number;
}

export interface QueryContext {
  readonly reader: MetricReader;
  readonly nowMs: number;
  /** The periods of that length that are asked for. */
  readonly rangeOf: (periodSeconds: number) => Range;
}

/**
 * Answers checked queries, each when it is asked for and each once.
 * @returns a function that rejects with a MathError, and with what the reader does.
 */
export function queryRunner(
  queries: readonly DataQuery[],
  context: QueryContext,
): (id: string) => Promise<QueryResult> {
  const byId = new Map(queries.map((query) => [query.id, query]));
  const results = new Map<string, Promise<QueryResult>>();
  const periods = queries.flatMap((query) => query.periodSeconds ?? []);
  const effort: Effort = { read: 0, work: 0 };

  function resultOf(id: string): Promise<QueryResult> {
    const query = byId.get(id);
    if (query === undefined) return Promise.reject(new MathError(`No query has the Id ${id.slice(0, 60)}.`));
    const result = results.get(id) ?? run(query);
    results.set(id, result);
    return result;
  }

  async function run(query: DataQuery): Promise<QueryResult> {
    if (query.kind === 'metric') {
      const { series, units } = await readSeries(context, effort, query, query.metric.name);
      return { series: [series], isArray: false, ...(units.length > 1 && { severalUnits: units }) };
    }
    const needs = needsOf(query.expression);
    const periodSeconds = query.periodSeconds ?? periods[0] ?? defaultPeriodSeconds;
    const values = new Map<string, Value>();
    for (const id of needs.ids) values.set(id, asValue(await resultOf(id)));
    const metrics: { id: string; series: Series }[] = [];
    for (const { kind, id } of needs.usesAllMetrics ? queries : []) {
      if (kind === 'metric') metrics.push({ id, series: (await resultOf(id)).series[0]! });
    }
    const found = new Map<string, readonly Series[]>();
    for (const search of needs.searches) {
      found.set(keyOf(search), await searchSeries(context, effort, search, periodSeconds));
    }
    const given = [...values.values()].flatMap(seriesOfValue);
    const all = [...given, ...metrics.map(({ series }) => series), ...[...found.values()].flat()];
    spend(effort, query.expression, all);
    // Others have their turn in between.
    await setImmediate();
    const value = evaluate(query.expression, {
      valueOf: (id) => values.get(id),
      metrics,
      found: (search) => found.get(keyOf(search)) ?? [],
      rangeOf: context.rangeOf,
      periodSeconds,
    });
    if (value.kind === 'series') return { series: [value.series], isArray: false };
    if (value.kind === 'array') return { series: value.items, isArray: true };
    throw new MathError(
      value.kind === 'scalar'
        ? 'It is a single number and no series; TIME_SERIES makes it one.'
        : 'It is no series.',
    );
  }

  return resultOf;
}

/** Each step of an expression may go through all that it is given. @throws MathError */
function spend(effort: Effort, expression: Expression, given: readonly Series[]): void {
  const steps = [...partsOf(expression)].filter(({ kind }) => kind === 'call' || kind === 'binary').length;
  effort.work += steps * given.reduce((sum, { points }) => sum + points.size, 0);
  if (effort.work > mostWork) throw tooMuch();
}

function tooMuch(): MathError {
  return new MathError('The request asks for too many values at once; ask for less time, or longer periods.');
}

function seriesOfValue(value: Value): readonly Series[] {
  if (value.kind === 'series') return [value.series];
  return value.kind === 'array' ? value.items : [];
}

function asValue({ series, isArray }: QueryResult): Value {
  return isArray ? { kind: 'array', items: series } : { kind: 'series', series: series[0]! };
}

function keyOf(search: Search): string {
  return JSON.stringify([search.text, search.statistic, search.periodSeconds]);
}

async function readSeries(
  { reader, rangeOf, nowMs }: QueryContext,
  effort: Effort,
  { metric, statistic, periodSeconds, unit }: Omit<MetricQuery, 'kind' | 'id'>,
  label: string,
): Promise<{ readonly series: Series; readonly units: readonly Unit[] }> {
  const range = rangeOf(periodSeconds);
  const all = await readPoints(reader, { metric, unit, ...range, periodSeconds });
  effort.read += all.length;
  if (effort.read > mostRead) throw tooMuch();
  const { points, units } = ofOneUnit(all.filter(({ startMs }) => startMs >= nowMs - keptMs(periodSeconds)));
  const values = points.flatMap(({ startMs, summary }) => {
    const value = statisticOf(summary, statistic);
    return value === undefined ? [] : [[startMs, value] as const];
  });
  return { series: seriesOf(label, periodSeconds, values), units: [...units] };
}

async function searchSeries(
  context: QueryContext,
  effort: Effort,
  search: Search,
  defaultPeriod: number,
): Promise<readonly Series[]> {
  const { reader, nowMs } = context;
  const wanted = parseSearch(search.text);
  const statistic = parseStatistic(search.statistic);
  if (statistic === undefined) throw new MathError(`${search.statistic.slice(0, 40)} is no statistic.`);
  const listed = await reader.list({
    sinceMs: nowMs - searchedMs,
    ...(wanted.schema !== undefined && { namespace: wanted.schema.namespace }),
  });
  const metrics = listed.filter(finder(wanted)).slice(0, mostFound);
  const periodSeconds = search.periodSeconds ?? defaultPeriod;
  const found: Series[] = [];
  // One after the other: of what was read of one, little is left when the next is.
  for (const metric of metrics) {
    const query = { metric, statistic, periodSeconds };
    found.push((await readSeries(context, effort, query, labelOf(metric, metrics))).series);
  }
  return found;
}

/** What tells it from the others that were found. */
function labelOf(metric: Metric, found: readonly Metric[]): string {
  const others = found.filter((each) => metricKey(each) !== metricKey(metric));
  const differing = metric.dimensions.filter(
    ({ name, value }) =>
      !others.every((other) => other.dimensions.some((each) => each.name === name && each.value === value)),
  );
  const isNamed = differing.length === 0 || others.some(({ name }) => name !== metric.name);
  return [...differing.map(({ value }) => value), ...(isNamed ? [metric.name] : [])].join(' ');
}
