/** One line of the "Online Retail" layout: is it a sale of a product, and if not, why not. */
import { type DateOrder, parseDate } from './retail-date.ts';

export const retailHeader = [
  'InvoiceNo',
  'StockCode',
  'Description',
  'Quantity',
  'InvoiceDate',
  'UnitPrice',
  'CustomerID',
  'Country',
] as const;

export interface Sale {
  readonly invoice: string;
  readonly sku: string;
  /** May be empty: another line of the same product usually has it. */
  readonly description: string;
  readonly quantity: number;
  readonly atSeconds: number;
  readonly priceCents: number;
  /** Null for a guest: about a quarter of the real lines have no customer, and they are sales all the same. */
  readonly customerId: number | null;
  readonly country: string;
}

export const refusals = [
  'line too long',
  'malformed line',
  'text that is not printable',
  'no valid invoice number',
  'cancellation',
  'not a product',
  'no valid product code',
  'quantity is not a whole number above zero',
  'quantity is absurdly large',
  'price is not a number',
  'price is zero or negative',
  'price is absurdly large',
  'no valid date',
  'no valid customer number',
] as const;

export type Refusal = (typeof refusals)[number];

const largestQuantity = 100_000;
const largestPriceCents = 10_000_000;
const longestText = 200;
// Postage, discounts, bank charges, manual entries, samples, commissions, bad debts, gift vouchers, tests.
const otherCodes =
  /^(POST|DOT|C2|C3|D|M|S|B|PADS|CRUK|BANK CHARGES|AMAZONFEE|ADJUST\d*|TEST\d+|SP1002|DCGSSGIRL|DCGSSBOY|GIFT.*)$/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd]/;

/** @param fields as many as the header has, or the line is malformed. */
export function readSale(fields: readonly string[], order: DateOrder): Sale | Refusal {
  if (fields.length !== retailHeader.length) return 'malformed line';
  if (fields.some((field) => unprintable.test(field))) return 'text that is not printable';
  if (fields.some((field) => field.length > longestText)) return 'malformed line';
  const [invoice, sku, description, quantityText, date, priceText, customerText, country] = fields.map(
    (field) => field.trim().replace(/\s+/g, ' '),
  ) as [string, string, string, string, string, string, string, string];

  if (/^C\d/i.test(invoice)) return 'cancellation';
  if (!/^[A-Z]?\d{1,12}$/i.test(invoice)) return 'no valid invoice number';
  if (otherCodes.test(sku)) return 'not a product';
  if (!/^[\w-]{1,20}$/.test(sku)) return 'no valid product code';
  // A negative quantity without the C is a write-off by the warehouse: no sale either.
  if (/^-\d+$/.test(quantityText)) return 'cancellation';
  const quantity = Number(quantityText);
  if (!/^\d+(\.0+)?$/.test(quantityText) || quantity === 0)
    return 'quantity is not a whole number above zero';
  if (quantity > largestQuantity) return 'quantity is absurdly large';
  if (!/^[£$€]?-?\d+(\.\d+)?$/.test(priceText)) return 'price is not a number';
  const priceCents = Math.round(Number(priceText.replace(/^[£$€]/, '')) * 100);
  if (priceCents <= 0) return 'price is zero or negative';
  if (priceCents > largestPriceCents) return 'price is absurdly large';
  const atSeconds = parseDate(date, order);
  if (atSeconds === undefined) return 'no valid date';
  if (customerText !== '' && !/^\d{1,9}(\.0)?$/.test(customerText)) return 'no valid customer number';
  const customerId = customerText === '' ? null : Number(customerText);
  if (customerId === 0) return 'no valid customer number';
  return {
    invoice,
    sku: sku.toUpperCase(),
    description,
    quantity,
    atSeconds,
    priceCents,
    customerId,
    country: country === '' ? 'Unknown' : country,
  };
}
