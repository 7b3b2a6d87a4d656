import { expect, test } from 'vitest';
import { changesNoRows, fileNumber, fileOf, mentions, packPlace } from './mysql-position.ts';

test('positions are ordered as the log is', () => {
  const places = [
    { file: 'binlog.000001', offset: 4 },
    { file: 'binlog.000001', offset: 0xffff_ffff },
    { file: 'binlog.000002', offset: 4 },
    { file: 'my.host-bin.1000000', offset: 4 },
  ].map(packPlace);
  expect([...places].sort((a, b) => (a < b ? -1 : 1))).toEqual(places);
  expect(new Set(places).size).toBe(4);
  for (const file of ['binlog', 'binlog.x', '']) expect(() => fileNumber(file)).toThrow(RangeError);
});

test('a place is found again while its file is there and long enough', () => {
  const files = [
    { name: 'b.000007', sizeBytes: 500 },
    { name: 'b.000008', sizeBytes: 100 },
  ];
  expect(fileOf(packPlace({ file: 'b.000007', offset: 500 }), files)).toEqual({
    file: 'b.000007',
    offset: 500,
  });
  expect(fileOf(packPlace({ file: 'b.000008', offset: 101 }), files)).toBeUndefined();
  expect(fileOf(packPlace({ file: 'b.000006', offset: 4 }), files)).toBeUndefined();
  expect(fileOf(0n, files)).toBeUndefined();
});

test('statements that may have changed a table, and those that change no rows', () => {
  expect(mentions('TRUNCATE TABLE `Products`', 'shop.products')).toBe(true);
  expect(mentions('DROP DATABASE shop', 'shop.products')).toBe(true);
  expect(mentions('ALTER TABLE orders ADD x int', 'shop.products')).toBe(false);
  for (const frame of [
    'BEGIN',
    'COMMIT',
    'SAVEPOINT a',
    'ROLLBACK TO a',
    'GRANT ALL ON products TO x',
    'XA END 0x1',
  ]) {
    expect(changesNoRows(frame)).toBe(true);
  }
  for (const change of [
    'TRUNCATE products',
    'DROP TABLE products',
    'UPDATE products SET a = 1',
    'XA COMMIT 0x1',
  ]) {
    expect(changesNoRows(change)).toBe(false);
  }
});
