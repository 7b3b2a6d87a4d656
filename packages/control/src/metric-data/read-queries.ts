/** (pure) MetricDataQueries of a request, as GetMetricData and PutMetricAlarm have them. */
import type { CloudWatchInput } from '@larder/contract/cloudwatch/model';
import { type ServiceError, serviceError } from '@larder/contract/errors';
import { checkQueries, type DataQuery, parseQueryExpression } from '@larder/metrics/data-query';
import { MathError } from '@larder/metrics/math/math-error';
import { parseStatistic } from '@larder/metrics/statistics';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import { missing, readMetric, readPeriod, readUnit } from './read-metric.ts';

export type WireQuery = CloudWatchInput<'GetMetricData'>['MetricDataQueries'][number];

export interface AskedQuery {
  readonly query: DataQuery;
  readonly label: string | undefined;
  readonly isReturned: boolean;
  /** As the request has it. */
  readonly statisticText: string | undefined;
}

const ID = /^[a-z][A-Za-z0-9_]{0,254}$/;

/**
 * @param path of the list in the request.
 * @throws ServiceError MissingParameter, InvalidParameterValue, InvalidParameterCombination; ValidationError for an
 *   expression that can't be read or what it lacks.
 */
export function readQueries(
  wire: readonly WireQuery[],
  { path, most, accountId }: { readonly path: string; readonly most: number; readonly accountId: string },
): readonly AskedQuery[] {
  if (wire.length === 0) throw missing(path);
  if (wire.length > most) {
    throw invalidValue(`The parameter ${path} can have up to ${most} queries; it has ${wire.length}.`);
  }
  const asked = wire.map((each, index) => readQuery(each, `${path}.member.${index + 1}.`, accountId));
  if (new Set(asked.map(({ query }) => query.id)).size !== asked.length) {
    throw invalidValue(`The parameter ${path} has an Id more than once.`);
  }
  if (!asked.some(({ isReturned }) => isReturned)) {
    throw invalidCombination(`At least one query of ${path} must have ReturnData true.`);
  }
  orRefuse(path, () => checkQueries(asked.map(({ query }) => query)));
  return asked;
}

function readQuery(wire: WireQuery, path: string, accountId: string): AskedQuery {
  const { Id: id, Expression, MetricStat, Label, ReturnData = true, AccountId } = wire;
  if (!ID.test(id)) {
    throw invalidValue(
      `The parameter ${path}Id must begin with a lowercase letter, and have letters, digits and _ alone.`,
    );
  }
  if (AccountId !== undefined && AccountId !== accountId) {
    throw invalidValue(`The parameter ${path}AccountId must be ${accountId}: there is one account.`);
  }
  if ((Expression === undefined) === (MetricStat === undefined)) {
    throw invalidCombination(`A query must have one of ${path}MetricStat and ${path}Expression.`);
  }
  const common = { label: Label, isReturned: ReturnData };
  if (MetricStat !== undefined) {
    const { Metric, Period, Stat, Unit } = MetricStat;
    const statistic = parseStatistic(Stat);
    if (statistic === undefined) {
      throw invalidValue(
        `The parameter ${path}MetricStat.Stat must be such as Average, p99 or TM(10%:90%), not ${Stat.slice(0, 40)}.`,
      );
    }
    const query: DataQuery = {
      kind: 'metric',
      id,
      metric: readMetric(Metric, `${path}MetricStat.Metric.`),
      statistic,
      periodSeconds: readPeriod(Period, `${path}MetricStat.Period`),
      unit: readUnit(Unit, `${path}MetricStat.Unit`),
    };
    return { ...common, query, statisticText: Stat };
  }
  const expression = orRefuse(`${path}Expression`, () => parseQueryExpression(Expression!));
  const periodSeconds = wire.Period === undefined ? undefined : readPeriod(wire.Period, `${path}Period`);
  return {
    ...common,
    query: { kind: 'expression', id, expression, periodSeconds },
    statisticText: undefined,
  };
}

/** What is wrong with an expression, as an error for the client. */
export function refusalOf(where: string, error: MathError): ServiceError {
  return serviceError('ValidationError', `Error in ${where}: ${error.message}`);
}

function orRefuse<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof MathError) throw refusalOf(where, error);
    throw error;
  }
}
