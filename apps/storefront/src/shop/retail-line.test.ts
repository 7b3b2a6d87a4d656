import { expect, test } from 'vitest';
import { noteDate, orderFrom, parseDate } from './retail-date.ts';
import { type Refusal, readSale } from './retail-line.ts';

const good = ['700001', '10001A', 'TIN  OF NAILS ', '6', '13/12/2010 08:26', '2.55', '17000', 'Norway'];

function changed(field: number, value: string): string[] {
  return good.with(field, value);
}

test('a sale', () => {
  expect(readSale(good, 'dmy')).toEqual({
    invoice: '700001',
    sku: '10001A',
    description: 'TIN OF NAILS',
    quantity: 6,
    atSeconds: Date.UTC(2010, 11, 13, 8, 26) / 1_000,
    priceCents: 255,
    customerId: 17_000,
    country: 'Norway',
  });
});

test('what other copies of the data have, and is a sale too', () => {
  expect(readSale(changed(6, ''), 'dmy')).toMatchObject({ customerId: null });
  expect(readSale(changed(6, '17000.0'), 'dmy')).toMatchObject({ customerId: 17_000 });
  expect(readSale(changed(5, '£2.55'), 'dmy')).toMatchObject({ priceCents: 255 });
  expect(readSale(changed(4, '12/13/10 8:26'), 'mdy')).toMatchObject({
    atSeconds: Date.UTC(2010, 11, 13, 8, 26) / 1_000,
  });
  expect(readSale(changed(2, ''), 'dmy')).toMatchObject({ description: '' });
});

test.each<[Refusal, string[]]>([
  ['malformed line', good.slice(0, 7)],
  ['malformed line', [...good, 'more']],
  ['malformed line', changed(2, 'x'.repeat(201))],
  ['text that is not printable', changed(2, 'TIN\u0000OF NAILS')],
  ['text that is not printable', changed(7, 'Nor\u001b[31mway')],
  ['no valid invoice number', changed(0, '')],
  ['no valid invoice number', changed(0, '70 00')],
  ['cancellation', changed(0, 'C700001')],
  ['cancellation', changed(3, '-6')],
  ['not a product', changed(1, 'POST')],
  ['not a product', changed(1, 'm')],
  ['not a product', changed(1, 'BANK CHARGES')],
  ['no valid product code', changed(1, '')],
  ['no valid product code', changed(1, '<script>')],
  ['quantity is not a whole number above zero', changed(3, '0')],
  ['quantity is not a whole number above zero', changed(3, '1.5')],
  ['quantity is not a whole number above zero', changed(3, 'six')],
  ['quantity is not a whole number above zero', changed(3, '0x10')],
  ['quantity is absurdly large', changed(3, '100001')],
  ['quantity is absurdly large', changed(3, '9'.repeat(150))],
  ['price is not a number', changed(5, '')],
  ['price is not a number', changed(5, '1e3')],
  ['price is not a number', changed(5, '2,55')],
  ['price is zero or negative', changed(5, '0')],
  ['price is zero or negative', changed(5, '-11062.06')],
  ['price is zero or negative', changed(5, '0.001')],
  ['price is absurdly large', changed(5, '100000.01')],
  ['no valid date', changed(4, '')],
  ['no valid date', changed(4, '31/02/2010 08:00')],
  ['no valid date', changed(4, '13/12/2010 24:00')],
  ['no valid date', changed(4, '2010-12-13')],
  ['no valid customer number', changed(6, 'abc')],
  ['no valid customer number', changed(6, '0')],
])('refused: %s', (refusal, fields) => {
  expect(readSale(fields, 'dmy')).toBe(refusal);
});

test('a day above 12 anywhere tells the order, a contradiction or nothing at all leaves it open', () => {
  const orderOf = (...dates: string[]) => {
    const evidence = { dmyOnly: 0, mdyOnly: 0 };
    for (const date of dates) noteDate(date, evidence);
    return orderFrom(evidence);
  };
  expect(orderOf('01/12/2010 08:26', '13/12/2010')).toBe('dmy');
  expect(orderOf('12/1/10 8:26', '12/13/10 8:26')).toBe('mdy');
  expect(orderOf('01/12/2010', '02/12/2010')).toBeUndefined();
  expect(orderOf('13/12/2010', '12/13/2010')).toBeUndefined();
  expect(orderOf('31/31/2010', 'nonsense')).toBeUndefined();
});

test('29 February only in leap years', () => {
  expect(parseDate('29/02/2012', 'dmy')).toBeDefined();
  expect(parseDate('29/02/2011', 'dmy')).toBeUndefined();
});
