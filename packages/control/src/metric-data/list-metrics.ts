/** ListMetrics. */

import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import type { Caller } from '@larder/contract/elasticache/handlers';
import { metricKey } from '@larder/metrics/metric';
import { invalidValue } from '../request/refusals.ts';
import type { MetricDataContext } from './metric-data.ts';
import { missing } from './read-metric.ts';
import { readToken, tokenOf } from './token.ts';

export const metricsOfPage = 500;
const mostFilters = 10;
const shownMs = 14 * 24 * 3_600_000;
const recentMs = 3 * 3_600_000;

/** Metrics that had data in the last two weeks, or three hours. @throws ServiceError InvalidParameterValue, InvalidNextToken */
export async function listMetrics(
  { metrics, nowMs }: Pick<MetricDataContext, 'metrics' | 'nowMs'>,
  caller: Pick<Caller, 'accountId'>,
  input: CloudWatchInput<'ListMetrics'>,
): Promise<CloudWatchOutput<'ListMetrics'>> {
  const { NextToken, RecentlyActive, OwningAccount, Dimensions = [], ...filter } = input;
  if (RecentlyActive !== undefined && RecentlyActive !== 'PT3H') {
    throw invalidValue('The parameter RecentlyActive can only be PT3H.');
  }
  if (Dimensions.length > mostFilters) {
    throw invalidValue(`The parameter Dimensions can have up to ${mostFilters} filters.`);
  }
  // There is one account.
  if (OwningAccount !== undefined && OwningAccount !== caller.accountId) return { Metrics: [] };
  const dimensions = Dimensions.map(({ Name, Value }, index) => {
    if (Name === undefined) throw missing(`Dimensions.member.${index + 1}.Name`);
    return { name: Name, value: Value };
  });
  const listed = await metrics.list({
    namespace: filter.Namespace,
    name: filter.MetricName,
    dimensions,
    sinceMs: nowMs() - (RecentlyActive === undefined ? shownMs : recentMs),
  });
  const asked = [filter.Namespace, filter.MetricName, dimensions, RecentlyActive];
  const after = NextToken === undefined ? undefined : String(readToken(asked, NextToken));
  const rest = after === undefined ? listed : listed.filter((metric) => metricKey(metric) > after);
  const page = rest.slice(0, metricsOfPage);
  return {
    Metrics: page.map(({ namespace, name, dimensions: own }) => ({
      Namespace: namespace,
      MetricName: name,
      Dimensions: own.map((each) => ({ Name: each.name, Value: each.value })),
    })),
    ...(input.IncludeLinkedAccounts === true && { OwningAccounts: page.map(() => caller.accountId) }),
    ...(rest.length > page.length && { NextToken: tokenOf(asked, metricKey(page.at(-1)!)) }),
  };
}
