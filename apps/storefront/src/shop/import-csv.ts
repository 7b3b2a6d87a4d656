/**
 * Fills the shop with a real order history: a CSV file of the public "Online Retail" layout (UCI Machine
 * Learning Repository). Products, prices, customers and popularity come from the file. What it does not hold
 * is made up, always the same way: a department from the description's words, and a stock. All dates move
 * by the same time, so that the newest order was placed just now.
 */
import type pg from 'pg';
import { seededRandom } from '../random.ts';
import { type Cell, type Filled, fillShop, type ReportProgress, type ShopContents } from './fill.ts';
import type { DateOrder } from './retail-date.ts';
import { ImportError, inspectRetailFile, type RetailFile, retailLines } from './retail-file.ts';
import { type Refusal, refusals, type Sale } from './retail-line.ts';

export interface ImportOptions {
  readonly path: string;
  /** When the file itself does not tell day from month. */
  readonly dates?: DateOrder;
  /** Units of the best-selling product; 20,000 when left out. */
  readonly hotStock?: number;
}

export interface RefusedLines {
  readonly reason: Refusal;
  readonly count: number;
  /** The first five. */
  readonly firstLineNumbers: readonly number[];
}

export interface ImportReport {
  readonly file: RetailFile;
  readonly acceptedLines: number;
  /** Of the accepted, those without a customer: kept as orders of guests. */
  readonly guestLines: number;
  readonly refused: readonly RefusedLines[];
  readonly filled: Filled;
}

/** @throws ImportError with a sentence for the user; the shop is then as it was. */
export async function importShop(
  client: pg.ClientBase,
  options: ImportOptions,
  report: ReportProgress = () => {},
): Promise<ImportReport> {
  const file = await inspectRetailFile(options.path, options.dates);
  report(`${file.encoding}, dates are ${file.dates === 'dmy' ? 'day/month/year' : 'month/day/year'}`);
  const sales: Sale[] = [];
  const counts = new Map<Refusal, { count: number; firstLineNumbers: number[] }>();
  for await (const line of retailLines(file)) {
    if ('sale' in line) {
      sales.push(line.sale);
      continue;
    }
    const entry = counts.get(line.refusal) ?? { count: 0, firstLineNumbers: [] };
    entry.count += 1;
    if (entry.firstLineNumbers.length < 5) entry.firstLineNumbers.push(line.number);
    counts.set(line.refusal, entry);
  }
  if (sales.length === 0) throw new ImportError('The file has no line that is a sale of a product.');
  const refused = refusals.flatMap((reason) => {
    const entry = counts.get(reason);
    return entry === undefined ? [] : [{ reason, ...entry }];
  });
  report(`${sales.length.toLocaleString('en')} sales in the file`);
  const contents = contentsFrom(sales, file, options.hotStock ?? 20_000);
  const filled = await fillShop(client, contents, report);
  const guestLines = sales.filter((sale) => sale.customerId === null).length;
  return { file, acceptedLines: sales.length, guestLines, refused, filled };
}

interface KnownProduct {
  readonly id: number;
  description: string;
  priceCents: number;
  pricedAtSeconds: number;
  units: number;
}

/** @param sales at least one, in the file's order. */
export function contentsFrom(sales: readonly Sale[], file: RetailFile, hotStock: number): ShopContents {
  const products = new Map<string, KnownProduct>();
  const customers = new Map<number, string>();
  const orders = new Map<string, { id: number; sale: Sale }>();
  let newestSeconds = 0;
  for (const sale of sales) {
    newestSeconds = Math.max(newestSeconds, sale.atSeconds);
    const known = products.get(sale.sku) ?? {
      id: products.size + 1,
      description: '',
      priceCents: sale.priceCents,
      pricedAtSeconds: sale.atSeconds,
      units: 0,
    };
    known.units += sale.quantity;
    if (sale.description !== '') known.description = sale.description;
    // Several prices for one product are common; the latest is the one a shop would ask today.
    if (sale.atSeconds >= known.pricedAtSeconds) {
      known.priceCents = sale.priceCents;
      known.pricedAtSeconds = sale.atSeconds;
    }
    products.set(sale.sku, known);
    if (sale.customerId !== null) customers.set(sale.customerId, sale.country);
    if (!orders.has(sale.invoice)) orders.set(sale.invoice, { id: orders.size + 1, sale });
  }
  const hot = [...products.values()].reduce((best, one) => (one.units > best.units ? one : best));
  const random = seededRandom(file.digest);
  const ageSeconds = (sale: Sale): number => newestSeconds - sale.atSeconds;
  return {
    source: { kind: 'csv', version: 1, digest: file.digest, dates: file.dates, hotStock },
    hotProductId: hot.id,
    categories: departmentNames.map((name, index) => [index + 1, name]),
    products: [...products].map(([sku, one]): Cell[] => [
      one.id,
      sku,
      titled(one.description === '' ? `Article ${sku}` : one.description),
      one.description,
      departmentOf(one.description),
      one.priceCents,
      one === hot ? hotStock : 40 + random.below(400),
    ]),
    customers: [...customers].map(([id, country]) => [id, `Customer ${id}`, country]),
    orders: [...orders].map(([invoice, { id, sale }]) => [
      id,
      `invoice-${invoice}`,
      sale.customerId,
      sale.country,
      ageSeconds(sale),
    ]),
    orderLines: sales.map((sale) => [
      orders.get(sale.invoice)!.id,
      products.get(sale.sku)!.id,
      sale.quantity,
      sale.priceCents,
      ageSeconds(orders.get(sale.invoice)!.sale),
    ]),
  };
}

// The first department whose word stands in the description gets the product; the last gets what is left.
const departments: readonly (readonly [name: string, words: RegExp])[] = [
  ['Christmas', /CHRISTMAS|XMAS|ADVENT|REINDEER|SNOWFLAKE/],
  ['Bags', /\bBAGS?\b|SHOPPER|PURSE|BACKPACK/],
  ['Candles and lights', /T-LIGHT|CANDLE|LANTERN|LIGHT|LAMP/],
  ['Mugs and cups', /MUG|CUP\b|CUPS|TEACUP|BEAKER/],
  ['Tea and coffee', /\bTEA|COFFEE|KETTLE/],
  ['Bakeware', /CAKE|BAKING|MUFFIN|COOKIE|JELLY MOULD/],
  ['Plates and bowls', /PLATE|BOWL|DISH|SAUCER/],
  ['Glass and bottles', /GLASS|BOTTLE|DECANTER|\bJARS?\b|\bJUG/],
  ['Kitchen', /APRON|SPOON|KITCHEN|OVEN|RECIPE|CUTLERY|PANTRY/],
  ['Lunch boxes', /LUNCH|SNACK|PICNIC/],
  ['Boxes and tins', /\bBOX|\bTINS?\b|STORAGE|BASKET|CRATE/],
  ['Clocks', /CLOCK/],
  ['Signs and frames', /SIGN\b|FRAME|CHALKBOARD|BLACKBOARD|POSTER/],
  ['Cards and paper', /CARD|PAPER|NOTEBOOK|STICKER|WRAP|ENVELOPE|PEN\b|PENCIL/],
  ['Cushions and textiles', /CUSHION|BLANKET|TOWEL|RUG|DOORMAT|FABRIC|BUNTING/],
  ['Jewellery', /NECKLACE|BRACELET|EARRING|\bRING\b|BROOCH/],
  ['Toys and games', /TOY|GAME|DOLL|PUZZLE|PLAY|CHILDREN|KIDS/],
  ['Garden', /GARDEN|PLANT|FLOWER|WATERING|BIRD/],
  ['Hearts and ornaments', /HEART|ORNAMENT|DECORATION|HANGING|GARLAND/],
  ['Everything else', /^/],
];
const departmentNames = departments.map(([name]) => name);

function departmentOf(description: string): number {
  return departments.findIndex(([, words]) => words.test(description.toUpperCase())) + 1;
}

/** The file shouts; a shop does not: "WHITE METAL LANTERN" becomes "White Metal Lantern". */
function titled(text: string): string {
  return text.toLowerCase().replace(/(^|[\s(/-])(\p{L})/gu, (_, before: string, letter: string) => {
    return before + letter.toUpperCase();
  });
}
