/**
 * An AWS Lambda function that carries change events to the cache: from a trigger (`aws_lambda.invoke`), DMS over
 * Kinesis, Debezium over Kafka, SQS, SNS, EventBridge (bus and pipes), DynamoDB streams. shapes.ts knows them.
 *
 * Events on these ways have no usable position: they come late, twice, in any order, and some before their
 * transaction commits. `applyEvents` therefore stamps with a transaction number that it takes after the event
 * arrived; delivering an event again is harmless, and so a batch that isn't confirmed is failed as a whole.
 */
import type { RowChange } from '../feed/source.ts';
import { type EventItem, readEvent } from './shapes.ts';

export { UnreadableEventError } from './shapes.ts';
export { type LambdaTriggerOptions, lambdaTriggerSql } from './trigger-sql.ts';

/** What is needed of a cache. */
export interface EventCache {
  /** Resolves when the shared tier confirmed the changes; rejects otherwise. */
  applyEvents(changes: readonly RowChange[], options: { readonly beforeCommit: boolean }): Promise<void>;
}

export interface LambdaHandlerOptions {
  readonly cache: EventCache;
  /** An item that couldn't be read. Messages hold no values of rows. Default: one line of JSON on stderr. */
  readonly onProblem?: (problem: { readonly identifier: string | undefined; readonly error: Error }) => void;
}

/** `batchItemFailures` is what Lambda and Pipes read; `applied` counts rows, for people. */
export interface LambdaReply {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
  readonly applied: number;
}

/** Some items can't be read, and the event source takes no answer per item: the rest was applied. */
export class EventItemsError extends Error {
  override readonly name = 'EventItemsError';
}

/**
 * The handler rejects, so that Lambda delivers the batch again, when the shared tier didn't confirm, when the
 * event is of no known shape (UnreadableEventError), and when items can't be read and can't be reported one by one
 * (EventItemsError). Where they can (SQS, Kinesis, DynamoDB), they are in the reply: set ReportBatchItemFailures on
 * the event source mapping, and an on-failure destination with a bound on retries, or Lambda ignores the reply.
 */
export function lambdaHandler(options: LambdaHandlerOptions): (event: unknown) => Promise<LambdaReply> {
  const { cache, onProblem = report } = options;
  return async (event) => {
    const { source, items, partial } = readEvent(event);
    const rows = items.flatMap((each) => each.rows);
    // A trigger calls the function itself, inside of its transaction; what goes by a queue or a log comes later.
    if (rows.length > 0) await cache.applyEvents(rows, { beforeCommit: source === 'direct' });
    const failed = items.filter(({ problem }) => problem !== undefined);
    for (const { identifier, problem } of failed) onProblem({ identifier, error: problem! });
    return { batchItemFailures: failuresOf(failed, partial), applied: rows.length };
  };
}

function failuresOf(failed: readonly EventItem[], partial: boolean): LambdaReply['batchItemFailures'] {
  return failed.map(({ identifier, problem }) => {
    if (partial && identifier !== undefined) return { itemIdentifier: identifier };
    throw new EventItemsError(
      `${failed.length} of the event's items can't be read, first: ${problem!.message} The others were applied. ` +
        'Send failed batches to an on-failure destination, with a bound on retries.',
      { cause: problem },
    );
  });
}

function report({
  identifier,
  error,
}: {
  readonly identifier: string | undefined;
  readonly error: Error;
}): void {
  console.error(
    JSON.stringify({ level: 'error', message: `Unreadable event item: ${error.message}`, identifier }),
  );
}
