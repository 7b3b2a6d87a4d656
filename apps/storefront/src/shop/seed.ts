/**
 * A made-up shop: the same seed gives the same products, customers and past orders, whose popularity follows
 * Zipf's law as sales do. Ages of orders count back from the moment of filling.
 */
import type pg from 'pg';
import { type Random, seededRandom, weighted, zipf } from '../random.ts';
import { type Cell, type Filled, fillShop, type ReportProgress, type ShopContents } from './fill.ts';
import { countries, departments, materials, qualities, sentences } from './seed-words.ts';

export interface SeedSize {
  readonly seed: number;
  readonly products: number;
  readonly customers: number;
  readonly orders: number;
  /** Units of the hot product: the sale must not run out of it by accident. */
  readonly hotStock: number;
}

export const defaultSeedSize: SeedSize = {
  seed: 1,
  products: 5_000,
  customers: 50_000,
  orders: 200_000,
  hotStock: 20_000,
};

const historySeconds = 90 * 86_400;
const popularityExponent = 1;

/** Fills the shop unless it already holds the same seed. About 5 s for the default size. */
export async function seedShop(
  client: pg.ClientBase,
  size: SeedSize = defaultSeedSize,
  report: ReportProgress = () => {},
): Promise<Filled> {
  return fillShop(client, seededContents(size), report);
}

/** @param size `products` at most 28,160 (the names are all different up to there), all others above zero. */
export function seededContents(size: SeedSize): ShopContents {
  const random = seededRandom(size.seed);
  const productIdOfRank = shuffled(size.products, random.fork('popularity'));
  const hotProductId = productIdOfRank[0]!;
  const products = [...seededProducts(size, hotProductId, random.fork('products'))];
  const priceCents = products.map((row) => Number(row[5]));
  const customers = [...seededCustomers(size, random.fork('customers'))];
  const orders = [...seededOrders(size, customers, random.fork('orders'))];
  return {
    source: { kind: 'seed', version: 1, ...size },
    hotProductId,
    categories: departments.map(([name], index) => [index + 1, name]),
    products,
    customers,
    orders,
    orderLines: seededLines(orders, priceCents, productIdOfRank, random.fork('lines')),
  };
}

function* seededProducts(size: SeedSize, hotProductId: number, random: Random): Generator<Cell[]> {
  // One step through all combinations, coprime to their number, so that no name comes twice.
  const combinations = departments.length * qualities.length * materials.length;
  for (let id = 1; id <= size.products; id += 1) {
    const combination = (id * 10_007) % combinations;
    const [, noun] = departments[combination % departments.length]!;
    const quality = qualities[Math.floor(combination / departments.length) % qualities.length]!;
    const material = materials[Math.floor(combination / (departments.length * qualities.length))]!;
    const first = random.below(sentences.length);
    const second = (first + 1 + random.below(sentences.length - 1)) % sentences.length;
    // Most prices are low, a few are high, and all end in 9, as in real shops.
    const priceCents = Math.floor(30 * Math.exp(random.next() * 3.8)) * 10 + 9;
    yield [
      id,
      `LD-${String(id).padStart(5, '0')}`,
      `${quality} ${material} ${noun}`,
      `${sentences[first]} ${sentences[second]}`,
      (combination % departments.length) + 1,
      priceCents,
      id === hotProductId ? size.hotStock : 40 + random.below(400),
    ];
  }
}

function* seededCustomers(size: SeedSize, random: Random): Generator<Cell[]> {
  const country = weighted(
    countries.map(([, share]) => share),
    random,
  );
  for (let id = 1; id <= size.customers; id += 1) yield [id, `Customer ${id}`, countries[country()]![0]];
}

function* seededOrders(
  size: SeedSize,
  customers: readonly (readonly Cell[])[],
  random: Random,
): Generator<Cell[]> {
  for (let id = 1; id <= size.orders; id += 1) {
    const customer = customers[random.below(customers.length)]!;
    // Evenly spread, the newest last, so that ids rise with time as they do in a shop that has been running.
    const ageSeconds = Math.floor(((size.orders - id + random.next()) * historySeconds) / size.orders);
    yield [id, `seed-${id}`, customer[0]!, customer[2]!, ageSeconds];
  }
}

function* seededLines(
  orders: readonly (readonly Cell[])[],
  priceCents: readonly number[],
  productIdOfRank: readonly number[],
  random: Random,
): Generator<Cell[]> {
  const rank = zipf(productIdOfRank.length, popularityExponent, random);
  const lineCounts = [1, 1, 1, 2, 2, 3, 4];
  for (const order of orders) {
    const chosen = new Set<number>();
    for (let line = random.pick(lineCounts); line > 0; line -= 1) chosen.add(productIdOfRank[rank()]!);
    for (const productId of chosen) {
      const quantity = random.below(4) === 0 ? 2 + random.below(4) : 1;
      yield [order[0]!, productId, quantity, priceCents[productId - 1]!, order[4]!];
    }
  }
}

/** 1 … count in random order (Fisher–Yates). */
function shuffled(count: number, random: Random): number[] {
  const ids = Array.from({ length: count }, (_, index) => index + 1);
  for (let last = ids.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [ids[last], ids[other]] = [ids[other]!, ids[last]!];
  }
  return ids;
}
