/** Scalars of the query protocol: how each is read from a parameter and written into XML. */
import { serviceError } from '../errors.ts';
import type { ServiceIdentity, Shape } from '../service-model.ts';

export type Scalar = string | number | boolean | Date | Uint8Array;
export type InputNumbers = ServiceIdentity['inputNumbers'];

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const INTEGER = /^[+-]?\d{1,10}$/;
const DOUBLE = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
// Clients differ in the fraction: none (Go), milliseconds (JavaScript), microseconds (botocore).
const TIMESTAMP =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):(\d{2}))$/;
export const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** No number or timestamp needs more; the patterns never see longer input. */
const MAX_SCALAR_LENGTH = 64;

/**
 * @param key names the parameter in the error.
 * @throws ServiceError InvalidParameterValueException when `text` is no value of the shape's type.
 */
export function parseScalar(shape: Shape, key: string, text: string, inputNumbers: InputNumbers): Scalar {
  switch (shape.kind) {
    case 'string':
      return text;
    case 'boolean':
      if (text === 'true') return true;
      if (text === 'false') return false;
      throw invalid(key, text, 'true or false');
    case 'number':
      return inputNumbers === 'int32' ? parseInt32(key, text) : parseDouble(key, text);
    case 'timestamp':
      return parseTimestamp(key, text);
    case 'blob':
      if (!BASE64.test(text)) throw invalid(key, text, 'base64');
      return Buffer.from(text, 'base64');
    default:
      // A decoder's own mistake, not the client's.
      throw new TypeError(`${shape.kind} is no scalar`);
  }
}

function parseInt32(key: string, text: string): number {
  // Adding zero turns -0 into 0.
  const value = INTEGER.test(text) ? Number(text) + 0 : Number.NaN;
  if (!(value >= INT32_MIN && value <= INT32_MAX)) throw invalid(key, text, 'a 32-bit integer');
  return value;
}

function parseDouble(key: string, text: string): number {
  const value = text.length <= MAX_SCALAR_LENGTH && DOUBLE.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw invalid(key, text, 'a number');
  return value;
}

function parseTimestamp(key: string, text: string): Date {
  const match = text.length <= MAX_SCALAR_LENGTH ? TIMESTAMP.exec(text) : null;
  const [year, month, day, hour, minute, second] = (match ?? []).slice(1, 7).map(Number);
  if (
    match === null ||
    year === undefined ||
    month === undefined ||
    day === undefined ||
    hour === undefined ||
    minute === undefined ||
    second === undefined ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  ) {
    throw invalid(key, text, 'an ISO 8601 timestamp such as 2015-02-02T18:22:18Z');
  }
  const milliseconds = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const local = new Date(0);
  // Not Date.UTC: it reads the years 0 to 99 as 1900 to 1999.
  local.setUTCFullYear(year, month - 1, day);
  local.setUTCHours(hour, minute, second, milliseconds);
  // The Date rolls 30 February over into March; a client that sends it made a mistake.
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day)
    throw invalid(key, text, 'a day of the calendar');
  const offsetMinutes = Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0);
  return new Date(local.getTime() - (match[8] === '-' ? -1 : 1) * offsetMinutes * 60_000);
}

/**
 * The text of a scalar in a response, not yet escaped. Timestamps have milliseconds and `Z`.
 *
 * @throws TypeError when `value` is not of the shape's type: a handler broke its contract.
 */
export function formatScalar(shape: Shape, value: unknown): string {
  if (shape.kind === 'string' && typeof value === 'string') return value;
  if (shape.kind === 'boolean' && typeof value === 'boolean') return String(value);
  if (shape.kind === 'number' && typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (shape.kind === 'timestamp' && value instanceof Date) return value.toISOString();
  if (shape.kind === 'blob' && value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  throw new TypeError(`a ${shape.kind} can't be written from a ${typeof value}`);
}

function invalid(key: string, text: string, expected: string) {
  const shown = text.length <= 40 ? text : `${text.slice(0, 40)}…`;
  return serviceError(
    'InvalidParameterValueException',
    `Invalid value '${shown}' for parameter ${key.slice(0, 100)}: it must be ${expected}.`,
  );
}
