/**
 * (pure) What a Lambda function is called with, taken apart: which changes, and which item each came from. Order
 * between items means nothing here: shards, partitions and retries mix it.
 *
 * An item that can't be read carries its problem and stops nothing.
 */
import type { RowChange } from '../feed/source.ts';
import { textOfBase64 } from './json-text.ts';
import { isFields, readMessage, readMessageText } from './messages.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface EventItem {
  /** What the event source knows the item by; undefined where it takes no answer per item. */
  readonly identifier: string | undefined;
  readonly rows: readonly RowChange[];
  /** Why it couldn't be read; `rows` is empty then. */
  readonly problem: Error | undefined;
}

export interface ReadEvent {
  /** For people. */
  readonly source: 'sqs' | 'kinesis' | 'dynamodb' | 'kafka' | 'sns' | 'direct';
  /** Does the event source take `{ batchItemFailures }`? Else a failure must fail all. */
  readonly partial: boolean;
  readonly items: readonly EventItem[];
}

export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';
}

const maxItems = 10_000;

/** Throws UnreadableEventError for an event of no known shape. */
export function readEvent(event: unknown): ReadEvent {
  // EventBridge Pipes hands over the bare list, and its records are flat.
  if (Array.isArray(event)) return readRecords(event);
  if (!isFields(event)) throw new UnreadableEventError('The event is neither an object nor a list.');
  if (Array.isArray(event.Records)) return readRecords(event.Records);
  if (isFields(event.records)) return readKafka(event.records);
  return { source: 'direct', partial: false, items: [item(undefined, () => readMessage(event))] };
}

function readRecords(records: readonly unknown[]): ReadEvent {
  bound(records.length);
  if (records.length === 0) return { source: 'direct', partial: true, items: [] };
  const kinds = new Set(Array.from(records, kindOf));
  const [kind] = kinds;
  if (kinds.size > 1 || kind === undefined) {
    throw new UnreadableEventError(
      'The records of the event are of several kinds, which no event source sends.',
    );
  }
  const read = readers[kind];
  return {
    source: kind,
    partial: kind === 'sqs' || kind === 'kinesis' || kind === 'dynamodb',
    items: Array.from(records, (record) => read(isFields(record) ? record : {})),
  };
}

type RecordKind = ReadEvent['source'];

function kindOf(record: unknown): RecordKind {
  if (!isFields(record)) return 'direct';
  const { eventSource, EventSource } = record;
  if (eventSource === 'aws:sqs') return 'sqs';
  if (eventSource === 'aws:kinesis') return 'kinesis';
  if (eventSource === 'aws:dynamodb') return 'dynamodb';
  if (eventSource === 'aws:kafka' || eventSource === 'SelfManagedKafka') return 'kafka';
  if (EventSource === 'aws:sns') return 'sns';
  return 'direct';
}

const readers: Readonly<Record<RecordKind, (record: Fields) => EventItem>> = {
  sqs: ({ messageId, body }) => item(messageId, () => readMessageText(text(body, 'body'))),
  kinesis(record) {
    const { sequenceNumber, data } = isFields(record.kinesis) ? record.kinesis : record;
    return item(sequenceNumber, () => readMessageText(textOfBase64(text(data, 'data'))));
  },
  dynamodb(record) {
    const { SequenceNumber } = isFields(record.dynamodb) ? record.dynamodb : ({} as Fields);
    return item(SequenceNumber, () => readMessage(record));
  },
  kafka: readKafkaRecord,
  sns: ({ Sns }) =>
    item(undefined, () => readMessageText(text(isFields(Sns) ? Sns.Message : undefined, 'Message'))),
  // A pipe with an input transformer, or one that was enriched: each element is the message itself.
  direct: (record) => item(undefined, () => readMessage(record)),
};

function readKafka(records: Fields): ReadEvent {
  const items: EventItem[] = [];
  for (const partition of Object.values(records)) {
    if (!Array.isArray(partition))
      throw new UnreadableEventError('A partition of the Kafka event is not a list.');
    bound(items.length + partition.length);
    for (const record of partition) items.push(readKafkaRecord(isFields(record) ? record : {}));
  }
  return { source: 'kafka', partial: false, items };
}

function readKafkaRecord({ value }: Fields): EventItem {
  return item(undefined, () =>
    value === undefined || value === null ? [] : readMessageText(textOfBase64(text(value, 'value'))),
  );
}

function item(identifier: unknown, read: () => readonly RowChange[]): EventItem {
  const known = typeof identifier === 'string' && identifier !== '' ? identifier : undefined;
  try {
    return { identifier: known, rows: read(), problem: undefined };
  } catch (error) {
    const problem = error instanceof Error ? error : new Error(String(error));
    return { identifier: known, rows: [], problem };
  }
}

function text(value: unknown, field: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`The record has no \`${field}\`.`);
}

function bound(count: number): void {
  if (count > maxItems) throw new UnreadableEventError(`The event has more than ${maxItems} records.`);
}
