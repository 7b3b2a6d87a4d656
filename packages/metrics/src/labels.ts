/** (pure) Labels of results: what is written in `${…}` is replaced by what the series tells. */

import type { MetricQuery } from './data-query.ts';
import type { Series } from './math/series.ts';

export interface LabelContext {
  readonly series: Series;
  /** The label that the result has by itself. */
  readonly ownLabel: string;
  /** Missing for expressions. */
  readonly query?: (MetricQuery & { readonly statisticText: string }) | undefined;
  readonly region: string;
  readonly accountId: string;
  /** `+0130`; times in labels are shown in it. */
  readonly timezone: string;
}

const PLACE = /\$\{([^}]{1,100})\}/g;

/** What is not known in braces stays as it is. */
export function labelOf(template: string, context: LabelContext): string {
  return template.replace(PLACE, (whole, inside: string) => placed(inside, context) ?? whole);
}

export function isTimezone(text: string): boolean {
  return /^[+-](?:0\d|1[0-4])[0-5]\d$/.test(text);
}

function placed(name: string, context: LabelContext): string | undefined {
  if (name === 'LABEL') return context.ownLabel;
  const property = /^PROP\('([^']+)'\)$/.exec(name)?.[1];
  if (property !== undefined) return propertyOf(property, context);
  const points = [...context.series.points];
  if (name === 'DATAPOINT_COUNT') return String(points.length);
  const isTime = name.endsWith('_TIME');
  const of = isTime ? name.slice(0, -'_TIME'.length) : name;
  const values = points.map(([, value]) => value);
  const point = pointOf(of, points);
  if (isTime) {
    if (point === undefined) return ['FIRST', 'LAST', 'MIN', 'MAX'].includes(of) ? '-' : undefined;
    return timeOf(point[0], context.timezone);
  }
  if (['FIRST', 'LAST', 'MIN', 'MAX'].includes(of)) return point === undefined ? '-' : shown(point[1]);
  const sum = values.reduce((total, each) => total + each, 0);
  if (name === 'SUM') return shown(sum);
  if (name === 'AVG') return values.length === 0 ? '-' : shown(sum / values.length);
  return undefined;
}

function pointOf(
  name: string,
  points: readonly (readonly [number, number])[],
): readonly [number, number] | undefined {
  if (name === 'FIRST') return points[0];
  if (name === 'LAST') return points.at(-1);
  if (name !== 'MIN' && name !== 'MAX') return undefined;
  const sign = name === 'MAX' ? 1 : -1;
  return points.reduce<readonly [number, number] | undefined>(
    (best, each) => (best === undefined || each[1] * sign > best[1] * sign ? each : best),
    undefined,
  );
}

function propertyOf(property: string, { query, region, accountId }: LabelContext): string | undefined {
  if (property === 'AccountId') return accountId;
  if (property === 'Region') return region;
  if (query === undefined) return undefined;
  if (property === 'MetricName') return query.metric.name;
  if (property === 'Namespace') return query.metric.namespace;
  if (property === 'Period') return String(query.periodSeconds);
  if (property === 'Stat') return query.statisticText;
  const dimension = /^Dim\.(.+)$/.exec(property)?.[1];
  return query.metric.dimensions.find(({ name }) => name === dimension)?.value;
}

function shown(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function timeOf(atMs: number, timezone: string): string {
  const sign = timezone.startsWith('-') ? -1 : 1;
  const offsetMinutes = Number(timezone.slice(1, 3)) * 60 + Number(timezone.slice(3, 5));
  const local = new Date(atMs + sign * offsetMinutes * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}
