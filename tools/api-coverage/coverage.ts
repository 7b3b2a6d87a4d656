/** (pure) From what tests saw of the API to its coverage: by operation, by error, and what was lost since the last time. */
import type { ErrorModel } from '@larder/contract/service-model';
import type { Sighting } from '../../testing/api-coverage.ts';

export interface OperationCoverage {
  readonly operation: string;
  /** Any request and answer of the model went through unchanged. */
  readonly decoded: boolean;
  /** A wrong or missing parameter was refused with a code that says so. */
  readonly validated: boolean;
  /** What was seen of it from outside, each once. A row with none is not green. */
  readonly effects: readonly string[];
  /** What it answers while it has no effect here. */
  readonly refusal?: string;
  /** Codes seen on the wire. */
  readonly errors: readonly string[];
}

export interface ErrorCoverage {
  /** As on the wire. */
  readonly code: string;
  readonly httpStatus: number;
  /** `wrong status`: seen, but with another status than the model's. */
  readonly seen: 'yes' | 'no' | 'wrong status';
  /** Whether the sources have a rule that produces it. */
  readonly rule: boolean;
  /** Operations that answered it. */
  readonly operations: readonly string[];
}

export interface Coverage {
  readonly operations: readonly OperationCoverage[];
  readonly errors: readonly ErrorCoverage[];
  readonly totals: {
    readonly operations: number;
    readonly decoded: number;
    readonly validated: number;
    readonly effect: number;
    readonly refusal: number;
    /** With neither an effect nor a refusal seen. */
    readonly unseen: number;
    readonly errors: number;
    readonly errorsSeen: number;
    readonly errorsWithoutRule: number;
  };
}

const validationCodes: ReadonlySet<string> = new Set([
  ...['InvalidParameterValue', 'InvalidParameterCombination', 'MissingParameter', 'MalformedInput'],
  'ValidationError',
]);

/**
 * @param model.operations every operation of the model, in the order of the table.
 * @param hasRule whether the sources can produce the error of that shape name.
 */
export function coverageOf(
  sightings: readonly Sighting[],
  model: { readonly operations: readonly string[]; readonly errors: readonly ErrorModel[] },
  hasRule: (shapeName: string) => boolean,
): Coverage {
  const operations = model.operations.map((operation) =>
    operationCoverage(
      operation,
      sightings.filter((each) => each.operation === operation),
    ),
  );
  const errors = model.errors.map((error) => errorCoverage(error, sightings, hasRule(error.shapeName)));
  const count = <T>(items: readonly T[], counts: (item: T) => boolean) => items.filter(counts).length;
  return {
    operations,
    errors,
    totals: {
      operations: operations.length,
      decoded: count(operations, (each) => each.decoded),
      validated: count(operations, (each) => each.validated),
      effect: count(operations, isGreen),
      refusal: count(operations, (each) => !isGreen(each) && each.refusal !== undefined),
      unseen: count(operations, (each) => !isGreen(each) && each.refusal === undefined),
      errors: errors.length,
      errorsSeen: count(errors, ({ seen }) => seen === 'yes'),
      errorsWithoutRule: count(errors, ({ rule, seen }) => !rule && seen === 'no'),
    },
  };
}

export function isGreen({ effects }: OperationCoverage): boolean {
  return effects.length > 0;
}

function operationCoverage(operation: string, sightings: readonly Sighting[]): OperationCoverage {
  const errors = distinct(sightings.flatMap((each) => (each.kind === 'error' ? [each.code] : [])));
  const refusal = sightings.flatMap((each) => (each.kind === 'refusal' ? [each.message] : []))[0];
  return {
    operation,
    decoded: sightings.some(({ kind }) => kind === 'decoded'),
    validated: errors.some((code) => validationCodes.has(code)),
    effects: distinct(sightings.flatMap((each) => (each.kind === 'effect' ? [each.what] : []))),
    ...(refusal !== undefined && { refusal }),
    errors,
  };
}

function errorCoverage(
  { wireCode, httpStatus }: ErrorModel,
  sightings: readonly Sighting[],
  rule: boolean,
): ErrorCoverage {
  const found = sightings.flatMap((each) => (each.kind === 'error' && each.code === wireCode ? [each] : []));
  const right = found.filter((each) => each.httpStatus === httpStatus);
  return {
    code: wireCode,
    httpStatus,
    seen: found.length === 0 ? 'no' : right.length === found.length ? 'yes' : 'wrong status',
    rule,
    operations: distinct(found.map(({ operation }) => operation)),
  };
}

function distinct(words: readonly string[]): string[] {
  return [...new Set(words)].sort();
}

/** What a new coverage has less of than the committed one, as sentences; empty when nothing. */
export function lossesSince(committed: readonly string[], now: Coverage): string[] {
  const green = new Set(now.operations.filter(isGreen).map(({ operation }) => operation));
  const lost = committed.filter((operation) => !green.has(operation));
  return [
    ...lost.map((operation) => `${operation} was green in the committed table and no effect was seen of it.`),
    ...(green.size < committed.length
      ? [`${green.size} operations are green; the committed table has ${committed.length}.`]
      : []),
    ...now.errors
      .filter(({ seen }) => seen === 'wrong status')
      .map(({ code, httpStatus }) => `${code} was seen with a status other than the model's ${httpStatus}.`),
    ...now.operations
      .filter((each) => !isGreen(each) && each.refusal === undefined)
      .map(({ operation }) => `${operation} has neither an effect nor a refusal that says so.`),
  ];
}
