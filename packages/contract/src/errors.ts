/**
 * Every error the API can answer, as data, and the one exception class that carries them.
 *
 * ElastiCache's and CloudWatch's modelled ones are read from the SDKs' schemas. The common ones belong to no model: AWS documents them once for
 * all services ("Common Errors"), and SDKs know several by name (a client retries `Throttling` and re-reads its clock
 * on `RequestExpired`).
 */
import { applicationAutoScaling, type ScalingErrorName } from './application-auto-scaling/model.ts';
import { type CloudWatchErrorName, cloudWatch } from './cloudwatch/model.ts';
import { cloudWatchLogs, type LogsErrorName } from './cloudwatch-logs/model.ts';
import { elastiCache, type ModelledErrorName } from './elasticache/model.ts';
import { type SnsErrorName, snsErrors } from './sns/model.ts';

/** Wire code -> HTTP status. */
const COMMON_ERRORS = {
  AccessDenied: 403,
  ExpiredToken: 403,
  IncompleteSignature: 400,
  InternalFailure: 500,
  InvalidAction: 400,
  InvalidClientTokenId: 403,
  MalformedInput: 400,
  // 404 looks odd for a syntax error; it is what AWS documents and sends.
  MalformedQueryString: 404,
  MissingAction: 400,
  MissingAuthenticationToken: 403,
  MissingParameter: 400,
  OptInRequired: 403,
  RequestEntityTooLarge: 413,
  RequestExpired: 400,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  Throttling: 400,
  UnsupportedMediaType: 415,
  UnsupportedOperation: 400,
  ValidationError: 400,
} as const;

export type CommonErrorName = keyof typeof COMMON_ERRORS;
export type ErrorName =
  | ModelledErrorName
  | CommonErrorName
  | ScalingErrorName
  | CloudWatchErrorName
  | SnsErrorName
  | LogsErrorName;

/** Who is to blame, in the words of the query protocol: `Sender` for 4xx, `Receiver` for 5xx. */
export type Fault = 'Sender' | 'Receiver';

export interface ErrorEntry {
  /** What code names it by: a modelled error's shape name, a common error's wire code. */
  readonly name: string;
  /** What the client reads in `<Code>`. */
  readonly code: string;
  readonly httpStatus: number;
  readonly fault: Fault;
}

export const errorCatalogue: ReadonlyMap<string, ErrorEntry> = new Map([
  // What both services have is alike in both.
  ...[...elastiCache.errors.values(), ...cloudWatch.errors.values()].map(
    ({ shapeName, wireCode, httpStatus }) => entry(shapeName, wireCode, httpStatus),
  ),
  ...Object.entries(cloudWatchLogs.errors).map(([code, httpStatus]) => entry(code, code, httpStatus)),
  ...Object.entries(snsErrors).map(([code, httpStatus]) => entry(code, code, httpStatus)),
  ...Object.entries(applicationAutoScaling.errors).map(([code, httpStatus]) => entry(code, code, httpStatus)),
  ...Object.entries(COMMON_ERRORS).map(([code, httpStatus]) => entry(code, code, httpStatus)),
]);

function entry(name: string, code: string, httpStatus: number): [string, ErrorEntry] {
  return [name, { name, code, httpStatus, fault: httpStatus >= 500 ? 'Receiver' : 'Sender' }];
}

/** An error meant for the client. Its message goes on the wire as it is, so it must hold no secret. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  /** The catalogue's name, for code that decides: `error.error === 'UserNotFoundFault'`. */
  readonly error: ErrorName;
  readonly code: string;
  readonly httpStatus: number;
  readonly fault: Fault;
  /** The next step for a person. Appended to the message where a protocol has no field for it. */
  readonly hint: string | undefined;

  constructor(error: ErrorName, message: string, options: ServiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const known = errorCatalogue.get(error);
    if (known === undefined) throw new Error(`no error named ${error} in the catalogue`);
    this.error = error;
    this.code = known.code;
    this.httpStatus = known.httpStatus;
    this.fault = known.fault;
    this.hint = options.hint;
  }
}

export interface ServiceErrorOptions {
  readonly hint?: string;
  /** For the log only; never rendered. */
  readonly cause?: unknown;
}

/**
 * @param error the shape name of a modelled error (`CacheClusterNotFoundFault`) or the code of a common one
 *   (`Throttling`). The wire code and the HTTP status follow from it.
 * @param message one sentence for the client.
 */
export function serviceError(error: ErrorName, message: string, options?: ServiceErrorOptions): ServiceError {
  return new ServiceError(error, message, options);
}

/** True when `thrown` is a ServiceError, and the named one when `error` is given. */
export function isServiceError(thrown: unknown, error?: ErrorName): thrown is ServiceError {
  return thrown instanceof ServiceError && (error === undefined || thrown.error === error);
}
