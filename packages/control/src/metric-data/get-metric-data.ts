/** GetMetricData. Queries are answered one after the other until a page is full; the next page goes on from there. */

import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import type { Caller } from '@larder/contract/elasticache/handlers';
import { serviceError } from '@larder/contract/errors';
import { type QueryResult, queryRunner } from '@larder/metrics/data-query';
import { isTimezone, labelOf } from '@larder/metrics/labels';
import { MathError } from '@larder/metrics/math/math-error';
import type { Series } from '@larder/metrics/math/series';
import { firstPeriodMs } from '@larder/metrics/periods';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import type { MetricDataContext } from './metric-data.ts';
import { type AskedQuery, readQueries, refusalOf } from './read-queries.ts';
import { readToken, tokenOf } from './token.ts';

type Result = NonNullable<CloudWatchOutput<'GetMetricData'>['MetricDataResults']>[number];

export const mostQueries = 500;
export const mostDatapoints = 100_800;
/** Of series in one answer, also of those without points: a search finds many. */
const mostSeries = 1_000;

/** Where a page begins: the query, its series, and how many of its points were given. */
interface Position {
  readonly query: number;
  readonly series: number;
  readonly point: number;
}

const first: Position = { query: 0, series: 0, point: 0 };

/** @throws ServiceError MissingParameter, InvalidParameterValue, InvalidNextToken, ValidationError, … */
export async function getMetricData(
  { metrics, nowMs }: Pick<MetricDataContext, 'metrics' | 'nowMs'>,
  caller: Pick<Caller, 'accountId' | 'region'>,
  input: CloudWatchInput<'GetMetricData'>,
): Promise<CloudWatchOutput<'GetMetricData'>> {
  const path = 'MetricDataQueries';
  const asked = readQueries(input.MetricDataQueries, {
    path,
    most: mostQueries,
    accountId: caller.accountId,
  });
  const [startMs, endMs] = [input.StartTime.getTime(), input.EndTime.getTime()];
  if (startMs >= endMs) throw invalidCombination('The parameter StartTime must be before EndTime.');
  const limit = input.MaxDatapoints ?? mostDatapoints;
  if (!Number.isInteger(limit) || limit < 1 || limit > mostDatapoints) {
    throw invalidValue(`The parameter MaxDatapoints must be a whole number from 1 to ${mostDatapoints}.`);
  }
  const timezone = input.LabelOptions?.Timezone ?? '+0000';
  if (!isTimezone(timezone)) throw invalidValue('The parameter LabelOptions.Timezone must be such as +0130.');
  const isAscending = input.ScanBy === 'TimestampAscending';
  if (input.ScanBy !== undefined && !isAscending && input.ScanBy !== 'TimestampDescending') {
    throw invalidValue('The parameter ScanBy must be TimestampAscending or TimestampDescending.');
  }

  const now = nowMs();
  const resultOf = queryRunner(
    asked.map(({ query }) => query),
    {
      reader: metrics,
      nowMs: now,
      rangeOf: (seconds) => ({ startMs: firstPeriodMs(startMs, seconds, now), endMs }),
    },
  );
  const returned = asked.filter(({ isReturned }) => isReturned);
  const { NextToken, ...request } = input;
  const begin = NextToken === undefined ? first : readPosition(readToken(request, NextToken));
  const results: Result[] = [];
  let left = limit;
  for (let index = begin.query; index < returned.length; index += 1) {
    const each = returned[index]!;
    const result = await answered(each, resultOf);
    const firstSeries = index === begin.query ? begin.series : 0;
    for (let at = firstSeries; at < result.series.length; at += 1) {
      if (left === 0 || results.length === mostSeries) {
        return {
          MetricDataResults: results,
          NextToken: tokenOf(request, { query: index, series: at, point: 0 }),
        };
      }
      const isContinued = index === begin.query && at === begin.series;
      const from = isContinued ? begin.point : 0;
      const series = result.series[at]!;
      const points = isAscending ? [...series.points] : [...series.points].reverse();
      const shown = points.slice(from, from + left);
      left -= shown.length;
      const isCut = from + shown.length < points.length;
      const label = labelFor(each, series, result, { ...caller, timezone });
      results.push({
        Id: each.query.id,
        Label: label,
        Timestamps: shown.map(([atMs]) => new Date(atMs)),
        Values: shown.map(([, value]) => value),
        StatusCode: isCut ? 'PartialData' : 'Complete',
        ...(result.severalUnits !== undefined && { Messages: [severalUnits(result.severalUnits)] }),
      });
      if (isCut) {
        const next: Position = { query: index, series: at, point: from + shown.length };
        return { MetricDataResults: results, NextToken: tokenOf(request, next) };
      }
    }
  }
  return { MetricDataResults: results, Messages: [] };
}

async function answered(
  { query }: AskedQuery,
  resultOf: (id: string) => Promise<QueryResult>,
): Promise<QueryResult> {
  try {
    return await resultOf(query.id);
  } catch (error) {
    if (error instanceof MathError) throw refusalOf(`expression '${query.id}'`, error);
    throw error;
  }
}

function labelFor(
  { query, label, statisticText }: AskedQuery,
  series: Series,
  { isArray }: QueryResult,
  place: { readonly region: string; readonly accountId: string; readonly timezone: string },
): string {
  const ownLabel = query.kind === 'metric' || isArray ? series.label : query.id;
  if (label === undefined) return ownLabel;
  const text = labelOf(label, {
    series,
    ownLabel,
    query: query.kind === 'metric' ? { ...query, statisticText: statisticText ?? '' } : undefined,
    ...place,
  });
  // Of several series each must be told apart.
  return isArray && text === label ? `${label} ${ownLabel}` : text;
}

function severalUnits(units: readonly string[]) {
  return {
    Code: 'SeveralUnits',
    Value: `The metric has data in ${units.join(', ')}; these are of the newest one's. Name a Unit for another.`,
  };
}

function readPosition(given: unknown): Position {
  const { query, series, point } = (given ?? {}) as Partial<Record<keyof Position, unknown>>;
  const isCount = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
  if (isCount(query) && isCount(series) && isCount(point)) return { query, series, point };
  throw serviceError('InvalidNextToken', 'NextToken is not one that a previous answer to this request gave.');
}
