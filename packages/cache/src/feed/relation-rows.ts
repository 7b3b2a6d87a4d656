/**
 * Rows that are decoded where a watch reads them, and not before: of a wide row mostly one column is read. A row
 * points into the message it came with, so it may be read only while that message is handled.
 *
 * Reading what the message doesn't say throws UnsentColumnError: a column beside the key of a key-only old row,
 * an unchanged value that is stored out of line, a column that the table doesn't have (any more). A guess would
 * be a missed invalidation.
 */
import type { WatchedRow } from '../definition.ts';
import type { Relation, Tuple } from './pgoutput.ts';

export class UnsentColumnError extends Error {
  override readonly name = 'UnsentColumnError';

  constructor(table: string, column: string) {
    super(
      `A watch on ${table} read ${column}, which the log didn't send. Run: ALTER TABLE ${table} ` +
        'REPLICA IDENTITY FULL; and check that the column still exists.',
    );
  }
}

const nullTag = 0x6e;
const unchangedTag = 0x75;

/** Makes rows of one relation, as it is now. */
export function rowsOf(relation: Relation): (tuple: Tuple) => WatchedRow {
  class Row {
    readonly #tuple: Tuple;

    constructor(tuple: Tuple) {
      this.#tuple = tuple;
    }

    static column(row: Row, index: number): string | null {
      const value = readColumn(row.#tuple, index, relation);
      if (value === undefined) throw new UnsentColumnError(relation.table, relation.columns[index]!.name);
      return value;
    }
  }
  Reflect.deleteProperty(Row.prototype, 'constructor');
  for (const [index, { name }] of relation.columns.entries()) {
    Object.defineProperty(Row.prototype, name, {
      enumerable: true,
      get(this: Row) {
        return Row.column(this, index);
      },
    });
  }
  Object.setPrototypeOf(
    Row.prototype,
    new Proxy(Object.create(null), {
      get(_, name) {
        if (typeof name === 'string') throw new UnsentColumnError(relation.table, name);
        return undefined;
      },
    }),
  );
  return (tuple) => new Row(tuple) as unknown as WatchedRow;
}

/** @returns where the tuple at `at` ends. Throws RangeError when the message ends before. */
export function endOfTuple(payload: Buffer, at: number): number {
  const count = payload.readUInt16BE(at);
  let cursor = at + 2;
  for (let i = 0; i < count; i += 1) cursor = endOfColumn(payload, cursor);
  return cursor;
}

/** undefined: it wasn't sent. */
function readColumn(tuple: Tuple, index: number, relation: Relation): string | null | undefined {
  const { payload, at, keyOnly, old } = tuple;
  if (keyOnly && !relation.columns[index]!.identity) return undefined;
  if (index >= payload.readUInt16BE(at)) return undefined;
  let cursor = at + 2;
  for (let i = 0; i < index; i += 1) cursor = endOfColumn(payload, cursor);
  const tag = payload.readUInt8(cursor);
  if (tag === nullTag) return null;
  if (tag === unchangedTag) return old === undefined ? undefined : readColumn(old, index, relation);
  return payload.toString('utf8', cursor + 5, endOfColumn(payload, cursor));
}

function endOfColumn(payload: Buffer, at: number): number {
  const tag = payload.readUInt8(at);
  if (tag === nullTag || tag === unchangedTag) return at + 1;
  const end = at + 5 + payload.readUInt32BE(at + 1);
  if (end > payload.length) throw new RangeError('A column reaches beyond its message.');
  return end;
}
