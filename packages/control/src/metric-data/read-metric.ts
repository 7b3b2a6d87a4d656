/** (pure) Metrics, units, statistics and periods as requests name them. */
import { serviceError } from '@larder/contract/errors';
import { type Dimension, type Metric, type Unit, units } from '@larder/metrics/metric';
import { isPeriod, longestPeriodSeconds } from '@larder/metrics/periods';
import { invalidValue } from '../request/refusals.ts';

export const mostDimensions = 30;
const NAMESPACE = /^[A-Za-z0-9._\-/#:]{1,255}$/;
const PRINTABLE = /^[\x20-\x7e]+$/;

interface WireDimension {
  readonly Name?: string | undefined;
  readonly Value?: string | undefined;
}

export interface WireMetric {
  readonly Namespace?: string | undefined;
  readonly MetricName?: string | undefined;
  readonly Dimensions?: readonly WireDimension[] | undefined;
}

/** @param path of the metric in the request. @throws ServiceError InvalidParameterValue, MissingParameter */
export function readMetric({ Namespace, MetricName, Dimensions = [] }: WireMetric, path = ''): Metric {
  return {
    namespace: readNamespace(Namespace, path),
    name: readMetricName(MetricName, path),
    dimensions: readDimensions(Dimensions, path),
  };
}

export function readNamespace(namespace: string | undefined, path = ''): string {
  if (namespace === undefined) throw missing(`${path}Namespace`);
  if (NAMESPACE.test(namespace) && !namespace.startsWith(':')) return namespace;
  throw invalidValue(
    `The parameter ${path}Namespace must have 1 to 255 letters, digits and . - _ / # :, and must not begin with a colon.`,
  );
}

export function readMetricName(name: string | undefined, path = ''): string {
  if (name === undefined) throw missing(`${path}MetricName`);
  return readText(name, `${path}MetricName`, 255);
}

/** In the order given, each name once. */
export function readDimensions(dimensions: readonly WireDimension[], path = ''): readonly Dimension[] {
  const parameter = `${path}Dimensions`;
  if (dimensions.length > mostDimensions) {
    throw invalidValue(
      `The parameter ${parameter} can have up to ${mostDimensions} dimensions; it has ${dimensions.length}.`,
    );
  }
  const read = dimensions.map(({ Name, Value }, index) => {
    const member = `${parameter}.member.${index + 1}`;
    if (Name === undefined) throw missing(`${member}.Name`);
    if (Value === undefined) throw missing(`${member}.Value`);
    const name = readText(Name, `${member}.Name`, 255);
    if (name.startsWith(':')) throw invalidValue(`The parameter ${member}.Name must not begin with a colon.`);
    return { name, value: readText(Value, `${member}.Value`, 1024) };
  });
  if (new Set(read.map(({ name }) => name)).size === read.length) return read;
  throw invalidValue(`The parameter ${parameter} has a name more than once.`);
}

function readText(text: string, parameter: string, most: number): string {
  if (text.length <= most && PRINTABLE.test(text) && text.trim() !== '') return text;
  throw invalidValue(
    `The parameter ${parameter} must have 1 to ${most} printable ASCII characters, not only blanks.`,
  );
}

export function readUnit(unit: string | undefined, parameter: string): Unit | undefined {
  if (unit === undefined) return undefined;
  const known = units.find((each) => each === unit);
  if (known !== undefined) return known;
  throw invalidValue(
    `The parameter ${parameter} must be one of ${units.join(', ')}; it is ${unit.slice(0, 40)}.`,
  );
}

export function readPeriod(seconds: number | undefined, parameter: string): number {
  if (seconds === undefined) throw missing(parameter);
  if (isPeriod(seconds)) return seconds;
  throw invalidValue(
    `The parameter ${parameter} must be 1, 5, 10, 20, 30 or a multiple of 60 up to ${longestPeriodSeconds} seconds; it is ${seconds}.`,
  );
}

export function missing(parameter: string) {
  return serviceError('MissingRequiredParameterException', `The parameter ${parameter} is required.`);
}
