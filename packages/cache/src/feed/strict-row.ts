/**
 * (pure) Rows out of messages. A value is the text that the database prints; a column that the message doesn't
 * have, or has in a form that isn't that text, throws when it is read: everything of the table is then taken as
 * changed, instead of the wrong key.
 */
import type { WatchedRow } from '../definition.ts';

const maxColumns = 2_000;
/** Debezium's stand-in for an unchanged value that is stored out of line. */
const unavailable = '__debezium_unavailable_value';

/** `values` as parsed from JSON. Throws RangeError for a row that no table could have. */
export function strictRow(table: string, values: Readonly<Record<string, unknown>>): WatchedRow {
  const row: Record<string, string | null> = Object.create(null);
  const names = Object.keys(values);
  if (names.length > maxColumns)
    throw new RangeError(`A row of ${table} has more than ${maxColumns} columns.`);
  for (const name of names) {
    const text = textOf(values[name]);
    if (text !== undefined) row[name] = text;
  }
  return new Proxy(row, {
    get(target, name) {
      if (typeof name !== 'string') return undefined;
      if (name in target) return target[name];
      throw new Error(`A watch on ${table} read ${name}, which the event doesn't say.`);
    },
  });
}

/** DynamoDB's attribute values: `{ "S": "a" }`. */
export function strictItem(table: string, attributes: Readonly<Record<string, unknown>>): WatchedRow {
  const values: Record<string, unknown> = Object.create(null);
  for (const [name, attribute] of Object.entries(attributes)) values[name] = attributeText(attribute);
  return strictRow(table, values);
}

function textOf(value: unknown): string | null | undefined {
  if (value === null) return null;
  if (typeof value === 'string') return value === unavailable ? undefined : value;
  // As PostgreSQL prints it.
  if (typeof value === 'boolean') return value ? 't' : 'f';
  // The runtime parsed it: beyond this it may have been another number.
  if (typeof value === 'number')
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? String(value) : undefined;
  return undefined;
}

function attributeText(attribute: unknown): unknown {
  if (typeof attribute !== 'object' || attribute === null) return undefined;
  const { S, N, B, BOOL, NULL } = attribute as Readonly<Record<string, unknown>>;
  if (NULL === true) return null;
  for (const text of [S, N, B]) if (typeof text === 'string') return text;
  return typeof BOOL === 'boolean' ? String(BOOL) : undefined;
}
