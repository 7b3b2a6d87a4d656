/**
 * (pure) One message about changed rows, whatever carried it: our trigger's payload, a DMS record, a Debezium
 * envelope. Wrappers that only carry text (SNS, EventBridge) are opened on the way.
 */
import type { RowChange } from '../feed/source.ts';
import { strictItem, strictRow } from '../feed/strict-row.ts';
import { parseJsonText } from './json-text.ts';

type Fields = Readonly<Record<string, unknown>>;

const maxRows = 10_000;
const maxWrappers = 4;

/** Throws Error, RangeError or SyntaxError that says why the text can't be read. */
export function readMessageText(text: string): readonly RowChange[] {
  return readMessage(parseJsonText(text), 0);
}

/** @param message as parsed from JSON. Throws as `readMessageText`. */
export function readMessage(message: unknown, wrappers = 0): readonly RowChange[] {
  if (wrappers > maxWrappers) throw new RangeError('The message is wrapped too often.');
  // Kafka's tombstone: the record before it said everything.
  if (message === null) return [];
  if (!isFields(message)) throw new Error('The message is not a JSON object.');
  if (message.src === 'pg-trigger') return readTriggerPayload(message);
  if (isFields(message.metadata) && typeof message.metadata['record-type'] === 'string') {
    return readDms(message, message.metadata);
  }
  if (isFields(message.source) && typeof message.op === 'string')
    return readDebezium(message, message.source);
  if (isFields(message.payload) && 'schema' in message) return readMessage(message.payload, wrappers + 1);
  if (message.payload === null && 'schema' in message) return [];
  if ('detail-type' in message && 'detail' in message) return readMessage(message.detail, wrappers + 1);
  if (message.Type === 'Notification' && typeof message.Message === 'string') {
    return readMessage(parseJsonText(message.Message), wrappers + 1);
  }
  if (isFields(message.dynamodb)) return readDynamodb(message);
  if (isDebeziumNote(message)) return [];
  throw new Error(
    "The message is none of: this package's trigger payload (src: pg-trigger), a DMS record (metadata.record-type), " +
      'a Debezium envelope (source and op), a DynamoDB stream record.',
  );
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `{ v: 1, src: 'pg-trigger', schema, table, op, keys: [{ old?, new? }] | null }`; no keys: all of the table. */
function readTriggerPayload(message: Fields): readonly RowChange[] {
  if (String(message.v) !== '1')
    throw new Error(`The trigger payload's version ${String(message.v)} is not 1.`);
  const table = tableName(message.schema, message.table);
  const { keys } = message;
  if (keys === null) return [everythingOf(table)];
  if (!Array.isArray(keys)) throw new Error('The trigger payload has no list of keys.');
  if (keys.length > maxRows) throw new RangeError(`The trigger payload has more than ${maxRows} keys.`);
  return Array.from(keys, (key: unknown) => {
    if (!isFields(key)) throw new Error('A key of the trigger payload is not an object.');
    return changeOf(table, optionalRow(table, key.old), optionalRow(table, key.new));
  });
}

function readDms(message: Fields, metadata: Fields): readonly RowChange[] {
  const operation = String(metadata.operation);
  if (metadata['record-type'] !== 'data') {
    // The task's own tables have no schema; a new table has no rows anybody cached.
    const { 'schema-name': schema, 'table-name': table } = metadata;
    if (operation === 'create-table' || !isName(schema) || !isName(table)) return [];
    return [everythingOf(tableName(schema, table))];
  }
  const table = tableName(metadata['schema-name'], metadata['table-name']);
  const data = optionalRow(table, message.data);
  const image = optionalRow(table, message['before-image']);
  if (data === undefined) throw new Error(`The DMS record of ${table} has no data.`);
  if (operation === 'insert' || operation === 'load') return [changeOf(table, undefined, data)];
  if (operation === 'update') return [changeOf(table, image, data)];
  if (operation === 'delete')
    return [changeOf(table, data, undefined), ...(image ? [changeOf(table, image, undefined)] : [])];
  throw new Error(`DMS operation ${JSON.stringify(operation.slice(0, 40))} is unknown.`);
}

function readDebezium(message: Fields, source: Fields): readonly RowChange[] {
  // A message of pg_logical_emit_message concerns no row.
  if (message.op === 'm') return [];
  const table = tableName(source.schema ?? source.db, source.table);
  if (message.op === 't') return [everythingOf(table)];
  const before = optionalRow(table, message.before);
  const after = optionalRow(table, message.after);
  switch (message.op) {
    case 'c':
    case 'r':
    case 'u':
      if (after === undefined) throw new Error(`The Debezium envelope of ${table} has no \`after\`.`);
      return [changeOf(table, before, after)];
    case 'd':
      return before === undefined ? [everythingOf(table)] : [changeOf(table, before, undefined)];
    default:
      throw new Error(`Debezium operation ${JSON.stringify(String(message.op).slice(0, 40))} is unknown.`);
  }
}

/** Watched as `dynamodb.<table>`. */
function readDynamodb(message: Fields): readonly RowChange[] {
  const { dynamodb, eventName, eventSourceARN } = message as { readonly dynamodb: Fields } & Fields;
  const name = typeof eventSourceARN === 'string' ? /:table\/([^/]+)\//.exec(eventSourceARN)?.[1] : undefined;
  if (name === undefined) throw new Error("The DynamoDB record doesn't name its table.");
  const table = `dynamodb.${name}`;
  const { Keys: keys, OldImage: oldImage, NewImage: newImage } = dynamodb;
  if (!isFields(keys)) throw new Error(`The DynamoDB record of ${name} has no keys.`);
  const row = (image: unknown) => strictItem(table, isFields(image) ? { ...keys, ...image } : keys);
  switch (eventName) {
    case 'INSERT':
      return [changeOf(table, undefined, row(newImage))];
    case 'MODIFY':
      return [changeOf(table, row(oldImage), row(newImage))];
    case 'REMOVE':
      return [changeOf(table, row(oldImage), undefined)];
    default:
      throw new Error('The DynamoDB record is neither INSERT, MODIFY nor REMOVE.');
  }
}

/** Debezium's heartbeats and transaction markers. */
function isDebeziumNote(message: Fields): boolean {
  const names = Object.keys(message);
  if (names.length === 1 && names[0] === 'ts_ms') return true;
  return (message.status === 'BEGIN' || message.status === 'END') && typeof message.id === 'string';
}

function changeOf(table: string, before: RowChange['before'], after: RowChange['after']): RowChange {
  return { table, before, after, identified: before !== undefined || after !== undefined };
}

function everythingOf(table: string): RowChange {
  return { table, before: undefined, after: undefined, identified: false };
}

function optionalRow(table: string, values: unknown): RowChange['before'] {
  if (values === undefined || values === null) return undefined;
  if (!isFields(values)) throw new Error(`A row of ${table} is not an object.`);
  return strictRow(table, values);
}

function tableName(schema: unknown, table: unknown): string {
  if (!isName(schema) || !isName(table)) throw new Error("The message doesn't name its schema and table.");
  return `${schema}.${table}`;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 256;
}
