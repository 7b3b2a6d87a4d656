/**
 * Writers, readers and faults at random; every acknowledged write and every read goes into a history, and the
 * history is checked: no read may return a version that was replaced, acknowledged, more than the bound before
 * the read began. Versions of a row only grow, so "older than" is a comparison.
 */
import { type PostgresShop, type PostgresShops, untilCachedAt } from './postgres-shop.ts';

export interface HistoryOptions {
  readonly shops: PostgresShops;
  /** Its rows are numbered from 1, with version 1 as their price. */
  readonly table: string;
  readonly keys: number;
  readonly readers: readonly PostgresShop[];
  /** One at a time, at random. */
  readonly faults: readonly (() => Promise<unknown>)[];
  readonly durationMs: number;
  readonly boundMs: number;
  readonly random: () => number;
}

export interface History {
  /** Reads that were older than the bound, in words. */
  readonly violations: readonly string[];
  readonly reads: number;
  readonly failedReads: number;
  readonly writes: number;
  /** Waits until every reader finds every key cached at its last version. */
  settled(): Promise<void>;
}

interface Write {
  readonly version: number;
  readonly acknowledgedMs: number;
}

export async function recordHistory({
  shops,
  table,
  keys,
  readers,
  faults,
  durationMs,
  boundMs,
  random,
}: HistoryOptions): Promise<History> {
  const writes: Write[][] = Array.from({ length: keys + 1 }, () => [{ version: 1, acknowledgedMs: 0 }]);
  const violations: string[] = [];
  let reads = 0;
  let failedReads = 0;
  const until = performance.now() + durationMs;
  const running = (): boolean => performance.now() < until;
  const pause = (mostMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, random() * mostMs));
  const anyKey = (): number => 1 + Math.floor(random() ** 2 * keys);

  const check = (id: number, version: number, startedMs: number, who: number): void => {
    reads += 1;
    let needed = 0;
    for (const write of writes[id]!)
      if (write.acknowledgedMs < startedMs - boundMs) needed = Math.max(needed, write.version);
    if (version >= needed) return;
    violations.push(
      `reader ${who} at ${startedMs.toFixed(1)}: product ${id} is ${version}, must be ${needed}`,
    );
  };
  const writer = async (): Promise<void> => {
    while (running()) {
      const id = anyKey();
      const { rows } = await shops.pool.query(
        `UPDATE ${table} SET price = price + 1 WHERE id = $1 RETURNING price`,
        [id],
      );
      writes[id]!.push({ version: rows[0].price, acknowledgedMs: performance.now() });
      await pause(30);
    }
  };
  const reader = async (who: number): Promise<void> => {
    const { product } = readers[who]!;
    while (running()) {
      const startedMs = performance.now();
      try {
        if (random() < 0.2) {
          const ids = [anyKey(), anyKey(), anyKey()];
          const values = await product.many(ids);
          for (const [index, id] of ids.entries()) check(id, values[index]!.price, startedMs, who);
        } else {
          const id = anyKey();
          check(id, (product.near(id) ?? (await product.get(id)))!.price, startedMs, who);
        }
      } catch {
        failedReads += 1;
      }
      await (random() < 0.3 ? pause(2) : new Promise(setImmediate));
    }
  };
  const saboteur = async (): Promise<void> => {
    while (running()) {
      await pause(500);
      await faults[Math.floor(random() * faults.length)]!().catch(() => {});
    }
  };
  const started = [
    writer(),
    writer(),
    saboteur(),
    ...readers.flatMap((_, who) => [reader(who), reader(who)]),
  ];
  await Promise.all(started);
  const written = writes.flat().length - keys - 1;
  const served = readers.map(({ cache }) => cache.stats());
  console.log(
    `${reads} reads, ${failedReads} failed, ${written} writes, ` +
      `${served.map(({ nearHits, farHits, loads }) => `near ${nearHits} far ${farHits} loads ${loads}`).join('; ')}`,
  );
  return {
    violations,
    reads,
    failedReads,
    writes: written,
    async settled() {
      for (let id = 1; id <= keys; id += 1) {
        const last = Math.max(...writes[id]!.map(({ version }) => version));
        for (const shop of readers) await untilCachedAt(shop, id, last);
      }
    },
  };
}
