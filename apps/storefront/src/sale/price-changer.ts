/**
 * Changes prices as an operator would in psql, over a connection of its own that the shop knows nothing of,
 * and measures how long each change takes to be seen: from the acknowledged COMMIT to the first page with the
 * new price, on every shop process; the slowest one counts.
 */
import type pg from 'pg';
import { type Random, weighted } from '../random.ts';
import { productPath, shownProduct } from './shop-page.ts';
import { NoAnswer, type WebClient } from './web-client.ts';

export interface PriceChange {
  readonly productId: number;
  readonly priceCents: number;
  /** Clock time of the acknowledged COMMIT, in milliseconds since 1970. */
  readonly committedAtMs: number;
  /** From then until every shop process showed it; null when one had not after `giveUpMs`. */
  readonly visibleAfterMs: number | null;
}

export interface PriceChangerOptions {
  readonly client: pg.ClientBase;
  /** One per shop process. */
  readonly shops: readonly WebClient[];
  readonly random: Random;
  readonly hotProductId: number;
  readonly products: readonly { readonly id: number; readonly weight: number }[];
  readonly changesPerSecond: number;
  readonly onChange?: (change: PriceChange) => void;
}

export interface PriceChanger {
  /** Resolves when the change is visible everywhere or given up. */
  change(productId: number): Promise<PriceChange>;
  /** Puts units in, or takes them out, in SQL: what is then there is `stock`. */
  setStock(productId: number, stock: number): Promise<void>;
  addStock(productId: number, units: number): Promise<void>;
  /** Begins to change prices at the chosen rate. */
  start(): void;
  /** No further changes; waits for those under way. */
  stop(): Promise<readonly PriceChange[]>;
  readonly restocked: ReadonlyMap<number, number>;
}

/** In mode ttl an old price may stay for a minute; nobody needs to watch all of it. */
export const giveUpMs = 3_000;
const hotShareOfChanges = 0.5;
// The pause between two looks grows with the time waited: 10 % of the answer at most, and little load.
const firstPauseMs = 1;
const pauseShare = 0.1;

export function priceChanger(options: PriceChangerOptions): PriceChanger {
  const { client, shops, random, hotProductId } = options;
  // Every price a product has had, in order: seeing a later one means the earlier change was seen too.
  const pricesOf = new Map<number, number[]>();
  const restocked = new Map<number, number>();
  const changes: PriceChange[] = [];
  const underWay = new Set<Promise<unknown>>();
  const ordinary = weighted(
    options.products.map((product) => product.weight),
    random.fork('products'),
  );
  const prices = random.fork('prices');
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  // One transaction after the other: the connection is one.
  let turn: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  async function commitPrice(productId: number): Promise<{ priceCents: number; index: number }> {
    let seen = pricesOf.get(productId);
    if (seen === undefined) {
      const { rows } = await client.query('SELECT price_cents FROM products WHERE id = $1', [productId]);
      seen = [rows[0].price_cents];
      pricesOf.set(productId, seen);
    }
    const priceCents = unusedPrice(seen, prices);
    seen.push(priceCents);
    // A statement of its own is a transaction of its own: acknowledged means committed.
    await client.query('UPDATE products SET price_cents = $2, updated_at = now() WHERE id = $1', [
      productId,
      priceCents,
    ]);
    return { priceCents, index: seen.length - 1 };
  }

  async function untilShown(
    shop: WebClient,
    productId: number,
    index: number,
    since: number,
  ): Promise<boolean> {
    for (;;) {
      const waitedMs = performance.now() - since;
      if (waitedMs > giveUpMs) return false;
      try {
        const request = { method: 'GET', path: productPath(productId) } as const;
        const { body } = await shop.send(request, undefined, performance.now() + giveUpMs);
        const shown = shownProduct(body);
        if (shown !== undefined && pricesOf.get(productId)!.indexOf(shown.priceCents) >= index) return true;
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
      }
      const pauseMs = Math.max(firstPauseMs, waitedMs * pauseShare);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async function change(productId: number): Promise<PriceChange> {
    const { priceCents, index } = await inTurn(() => commitPrice(productId));
    const committedAtMs = Date.now();
    const since = performance.now();
    const results = await Promise.all(
      shops.map(async (shop) => {
        const shown = await untilShown(shop, productId, index, since);
        return shown ? performance.now() - since : null;
      }),
    );
    const visibleAfterMs = results.includes(null) ? null : Math.max(...results.map((ms) => ms ?? 0));
    const done = { productId, priceCents, committedAtMs, visibleAfterMs };
    changes.push(done);
    options.onChange?.(done);
    return done;
  }

  function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work);
    const forget = (): void => {
      underWay.delete(work);
    };
    work.then(forget, forget);
    return work;
  }

  async function putIn(productId: number, unitsOrStock: string, value: number): Promise<void> {
    const { rows } = await inTurn(() =>
      client.query(
        `UPDATE products p SET stock = ${unitsOrStock}, updated_at = now()
         FROM (SELECT id, stock FROM products WHERE id = $1 FOR UPDATE) before
         WHERE p.id = before.id RETURNING p.stock - before.stock AS units`,
        [productId, value],
      ),
    );
    restocked.set(productId, (restocked.get(productId) ?? 0) + rows[0].units);
  }

  return {
    restocked,
    change: (productId) => track(change(productId)),
    setStock: (productId, stock) => track(putIn(productId, '$2', stock)),
    addStock: (productId, units) => track(putIn(productId, 'p.stock + $2', units)),
    start() {
      if (timer !== undefined || stopped) return;
      timer = setInterval(() => {
        const productId = random.next() < hotShareOfChanges ? hotProductId : options.products[ordinary()]!.id;
        // A database that is gone is reported by whoever waits for it; here it must not end the process.
        track(change(productId)).catch(() => {});
      }, 1_000 / options.changesPerSecond);
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await Promise.allSettled(underWay);
      return changes;
    },
  };
}

/** (pure but for `random`) Within a fifth of the first price while one is free there, and never used before. */
export function unusedPrice(used: readonly number[], random: Random): number {
  const first = used[0]!;
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const price = Math.max(1, Math.round(first * (0.8 + 0.4 * random.next())));
    if (!used.includes(price)) return price;
  }
  return Math.max(...used) + 1;
}
