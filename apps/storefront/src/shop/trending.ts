/**
 * What sells most at present: one sorted set. Instead of ageing every score all the time, each sale counts
 * for more than those before it, twice as much every half-life; the order comes out the same.
 */
import type { CacheServer } from './cache-server.ts';
import type { SoldUnits } from './catalogue.ts';

const halfLifeMs = 10 * 60_000;
// 432 half-lives, so the largest weight is 2 ** 432: far within a double, which ends at 2 ** 1024.
const periodMs = 3 * 86_400_000;

export async function recordSales(
  server: CacheServer,
  units: readonly SoldUnits[],
  nowMs: number,
): Promise<void> {
  const key = keyAt(nowMs);
  const weight = 2 ** ((nowMs % periodMs) / halfLifeMs);
  const batch = server.multi();
  for (const { productId, quantity } of units) batch.zIncrBy(key, weight * quantity, String(productId));
  batch.pExpire(key, 2 * periodMs);
  await batch.execAsPipeline();
}

/** Product ids, best seller first; fewer than `count` when not so many were sold lately. */
export async function bestSellers(server: CacheServer, count: number, nowMs: number): Promise<number[]> {
  const members = await server.zRange(keyAt(nowMs), 0, count - 1, { REV: true });
  return members.map(Number);
}

function keyAt(nowMs: number): string {
  return `trending:${Math.floor(nowMs / periodMs)}`;
}
