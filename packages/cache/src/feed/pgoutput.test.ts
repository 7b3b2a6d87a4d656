import { expect, test } from 'vitest';
import { decodeCopyMessage, decodePgoutput, encodeStatus, type Relation, type Tuple } from './pgoutput.ts';
import { rowsOf, UnsentColumnError } from './relation-rows.ts';

const u8 = (value: number): Buffer => Buffer.from([value]);
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}
function u64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
}
const text = (value: string): Buffer => Buffer.from(value);
const name = (value: string): Buffer => text(`${value}\0`);
function tuple(...values: readonly (string | null | undefined)[]): Buffer {
  const parts = values.map((value) => {
    if (value === null) return text('n');
    if (value === undefined) return text('u');
    return Buffer.concat([text('t'), u32(Buffer.byteLength(value)), text(value)]);
  });
  return Buffer.concat([u16(values.length), ...parts]);
}
const cat = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);

test('begin, commit', () => {
  expect(decodePgoutput(cat(text('B'), u64(5n), u64(1_000_000n), u32(77)))).toEqual({
    kind: 'begin',
    xid: 77,
    committedAtMs: 946_684_801_000,
  });
  expect(decodePgoutput(cat(text('C'), u8(0), u64(5n), u64(0xffff_ffff_0000_0009n), u64(0n)))).toEqual({
    kind: 'commit',
    endLsn: 0xffff_ffff_0000_0009n,
  });
});

test('relation', () => {
  const column = (flag: number, label: string): Buffer =>
    cat(u8(flag), name(label), u32(23), u32(0xffff_ffff));
  const message = cat(
    text('R'),
    u32(16_384),
    name('public'),
    name('products'),
    text('d'),
    u16(2),
    column(1, 'id'),
    column(0, 'prix €'),
  );
  expect(decodePgoutput(message)).toEqual({
    kind: 'relation',
    relation: {
      id: 16_384,
      table: 'public.products',
      replicaIdentity: 'd',
      columns: [
        { name: 'id', identity: true },
        { name: 'prix €', identity: false },
      ],
    },
  });
});

const relation: Relation = {
  id: 1,
  table: 'public.t',
  replicaIdentity: 'd',
  columns: [
    { name: 'id', identity: true },
    { name: 'b', identity: false },
    { name: 'c', identity: false },
  ],
};

/** A message's rows, read: the names of columns that can't be read are left out. */
function read(message: Buffer): { before?: object; after?: object } {
  const decoded = decodePgoutput(message) as { before?: Tuple; after?: Tuple };
  const row = (tuple: Tuple): object => {
    const at = rowsOf(relation)(tuple);
    const found: Record<string, string | null | undefined> = {};
    for (const { name } of relation.columns) {
      try {
        found[name] = at[name];
      } catch (error) {
        expect(error).toBeInstanceOf(UnsentColumnError);
      }
    }
    return found;
  };
  return {
    ...(decoded.before && { before: row(decoded.before) }),
    ...(decoded.after && { after: row(decoded.after) }),
  };
}

test('rows: inserted, updated with and without their old key, deleted; null, unchanged and empty columns', () => {
  expect(read(cat(text('I'), u32(1), text('N'), tuple('1', null, '')))).toEqual({
    after: { id: '1', b: null, c: '' },
  });
  expect(read(cat(text('U'), u32(1), text('N'), tuple('1', undefined, 'é')))).toEqual({
    after: { id: '1', c: 'é' },
  });
  expect(
    read(cat(text('U'), u32(1), text('K'), tuple('1', null, null), text('N'), tuple('2', 'é', undefined))),
  ).toEqual({ before: { id: '1' }, after: { id: '2', b: 'é' } });
  expect(read(cat(text('D'), u32(1), text('K'), tuple('1', null, null)))).toEqual({ before: { id: '1' } });
});

test('with the whole old row, an unchanged value is read from there', () => {
  const update = cat(text('O'), tuple('1', 'long', null), text('N'), tuple('1', undefined, undefined));
  expect(read(cat(text('U'), u32(1), update))).toEqual({
    before: { id: '1', b: 'long', c: null },
    after: { id: '1', b: 'long', c: null },
  });
});

test('a column that the table does not have throws, whatever its name', () => {
  const message = decodePgoutput(cat(text('I'), u32(1), text('N'), tuple('1', null, '')));
  const row = rowsOf(relation)((message as { after: Tuple }).after);
  for (const name of ['nothing', 'constructor', 'toString', '__proto__']) {
    expect(() => row[name]).toThrow(UnsentColumnError);
  }
});

test('truncate, and what this version ignores', () => {
  expect(decodePgoutput(cat(text('T'), u32(2), u8(1), u32(7), u32(8)))).toEqual({
    kind: 'truncate',
    relations: [7, 8],
  });
  expect(decodePgoutput(text('Y....'))).toEqual({ kind: 'other', tag: 'Y' });
});

test('a message cut short throws rather than invents', () => {
  const old = cat(text('U'), u32(1), text('O'), tuple('1', 'x', 'y'));
  const whole = cat(old, text('N'), tuple('1', '12345', '67890'));
  for (let length = 0; length < whole.length; length += 1) {
    expect(() => {
      const message = decodePgoutput(whole.subarray(0, length)) as { after?: Tuple };
      return rowsOf(relation)(message.after!).c;
    }).toThrow();
  }
});

test('copy messages, and the status that answers them', () => {
  const data = cat(text('w'), u64(1n), u64(2n), u64(3n), text('payload'));
  expect(decodeCopyMessage(data)).toEqual({ kind: 'data', payload: text('payload') });
  expect(decodeCopyMessage(cat(text('k'), u64(99n), u64(0n), u8(1)))).toEqual({
    kind: 'keepalive',
    walEnd: 99n,
    replyRequested: true,
  });
  expect(decodeCopyMessage(text('?'))).toBeUndefined();
  const status = encodeStatus(0x1_0000_0002n, 946_684_800_001, true);
  expect([status.length, status[0], status[33]]).toEqual([34, 0x72, 1]);
  for (const at of [1, 9, 17]) expect(status.readBigUInt64BE(at)).toBe(0x1_0000_0002n);
  expect(status.readBigInt64BE(25)).toBe(1_000n);
});
