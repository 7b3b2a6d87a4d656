import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { importShop } from './import-csv.ts';

const header = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country';
let postgres: TestPostgres;
let sql: pg.Client;
let folder: string;
let fileCount = 0;

beforeAll(async () => {
  [postgres, folder] = await Promise.all([
    startTestPostgres({ track_commit_timestamp: 'on' }),
    mkdtemp(join(tmpdir(), 'larder-test-import-')),
  ]);
  sql = new pg.Client(postgres.address);
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await postgres.remove();
  await rm(folder, { recursive: true });
});

async function file(content: string | Uint8Array): Promise<string> {
  fileCount += 1;
  const path = join(folder, `orders-${fileCount}.csv`);
  await writeFile(path, content);
  return path;
}

test('products, prices, customers and orders come from the file, and each refused line has a reason', async () => {
  const path = await file(
    [
      header,
      '700001,10001,TIN OF NAILS,6,13/12/2010 08:26,2.55,17000,Norway',
      '700001,10002,"BOX, WITH ""LID""",1,13/12/2010 08:26,4.00,17000,Norway',
      '700002,10001,TIN OF NAILS,40,15/12/2010 09:00,2.75,,Spain',
      '700003,10001,TIN OF NAILS,1,14/12/2010 09:00,9.99,17001,Japan',
      'C700004,10001,TIN OF NAILS,-1,15/12/2010 10:00,2.55,17000,Norway',
      '700005,POST,POSTAGE,1,15/12/2010 10:00,18.00,17000,Norway',
      '',
      `700006,10001,${'LONG '.repeat(1_000)},1,15/12/2010 10:00,2.55,17000,Norway`,
      '700007,10001,"A QUOTE THAT NOBODY CLOSED,1,15/12/2010 10:00,2.55,17000,Norway',
      '700008,10003,LATER LINE,1,15/12/2010 10:00,1.00,17000,Norway',
      '700009,10001,TIN OF',
    ].join('\r\n'),
  );
  const result = await importShop(sql, { path, hotStock: 777 });

  expect(result.acceptedLines).toBe(5);
  expect(result.guestLines).toBe(1);
  expect(result.refused).toEqual([
    { reason: 'line too long', count: 1, firstLineNumbers: [9] },
    { reason: 'malformed line', count: 2, firstLineNumbers: [10, 12] },
    { reason: 'cancellation', count: 1, firstLineNumbers: [6] },
    { reason: 'not a product', count: 1, firstLineNumbers: [7] },
  ]);
  const products = await sql.query('SELECT sku, name, price_cents, stock FROM products ORDER BY id');
  expect(products.rows).toEqual([
    // The latest price by date, not the last line's; the best seller has the sale's stock.
    { sku: '10001', name: 'Tin Of Nails', price_cents: 275, stock: 777 },
    { sku: '10002', name: 'Box, With "lid"', price_cents: 400, stock: expect.any(Number) },
    { sku: '10003', name: 'Later Line', price_cents: 100, stock: expect.any(Number) },
  ]);
  const orders = await sql.query(
    'SELECT idempotency_key, customer_id, country, count(*)::integer AS lines FROM orders o ' +
      'JOIN order_lines l ON l.order_id = o.id GROUP BY o.id ORDER BY o.id',
  );
  expect(orders.rows).toEqual([
    { idempotency_key: 'invoice-700001', customer_id: 17_000, country: 'Norway', lines: 2 },
    { idempotency_key: 'invoice-700002', customer_id: null, country: 'Spain', lines: 1 },
    { idempotency_key: 'invoice-700003', customer_id: 17_001, country: 'Japan', lines: 1 },
    { idempotency_key: 'invoice-700008', customer_id: 17_000, country: 'Norway', lines: 1 },
  ]);
  expect((await importShop(sql, { path, hotStock: 777 })).filled.reused).toBe(true);
});

const sale = (date: string, description = 'TIN'): string =>
  `700001,10001,${description},6,${date},2.55,17000,Norway`;

test.each<[string, string | Uint8Array, RegExp]>([
  ['an empty file', '', /^The file is empty/],
  ['only a header', `${header}\n`, /day or the month/],
  ['another header', 'a,b,c\n1,2,3\n', /^The first line must be "InvoiceNo,.*and is "a,b,c"/],
  ['no header', `${sale('13/12/2010')}\n`, /^The first line must be/],
  ['a spreadsheet', Buffer.from('PK\x03\x04binary'), /spreadsheet/],
  ['UTF-16', Buffer.from(`\ufeff${header}`, 'utf16le'), /UTF-16/],
  ['dates that do not tell', `${header}\n${sale('01/12/2010')}\n`, /--dates dmy/],
  ['dates that contradict', `${header}\n${sale('13/12/2010')}\n${sale('12/13/2010')}\n`, /contradict/],
  ['no sale at all', `${header}\n${sale('13/12/2010').replace('700001', 'C7')}\n`, /no line that is a sale/],
  ['one endless line', 'x'.repeat(1_000_000), /^The first line must be/],
])('refuses %s as a whole, with a sentence that says why', async (_, content, sentence) => {
  await expect(importShop(sql, { path: await file(content) })).rejects.toThrow(sentence);
});

test('month first, two-digit years, a byte order mark and the option for open dates', async () => {
  const american = await importShop(sql, { path: await file(`\ufeff${header}\n${sale('12/13/10 8:26')}\n`) });
  expect(american.file).toMatchObject({ dates: 'mdy', encoding: 'utf-8' });
  const open = `${header}\n${sale('01/12/2010')}\n`;
  expect((await importShop(sql, { path: await file(open), dates: 'mdy' })).file.dates).toBe('mdy');
});

test('Latin-1 and UTF-8 pound signs both arrive as pound signs', async () => {
  const text = `${header}\n${sale('13/12/2010', 'TIN FOR £5')}\n`;
  for (const [encoding, expected] of [
    ['latin1', 'windows-1252'],
    ['utf8', 'utf-8'],
  ] as const) {
    const result = await importShop(sql, { path: await file(Buffer.from(text, encoding)) });
    expect(result.file.encoding).toBe(expected);
    expect((await sql.query('SELECT name FROM products')).rows).toEqual([{ name: 'Tin For £5' }]);
  }
});

test('a file that is not there is named', async () => {
  const path = join(folder, 'nowhere.csv');
  await expect(importShop(sql, { path })).rejects.toThrow(`${path} does not exist`);
});
