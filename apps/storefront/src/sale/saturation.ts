/**
 * How many pages a second each way of caching can send with everything warm: short closed-loop bursts that
 * take turns, so that a slow moment of a shared machine hits all kinds and ratios within a round stay honest.
 * The generator takes its share of the same cores; `static` shows what is left for pages.
 */
import { seededRandom, weighted } from '../random.ts';
import type { Shops, Stage } from '../scenario/stage.ts';
import type { Market } from './market.ts';
import { modes, type SaturationKind, type SaturationReport } from './report.ts';
import { readShopCounts } from './shop-counts.ts';
import { productPath } from './shop-page.ts';
import { median, ratioOf } from './spread.ts';

export interface SaturationOptions {
  readonly rounds: number;
  readonly sliceSeconds: number;
  readonly seed: number;
  readonly report?: (sentence: string) => void;
}

const kinds: readonly SaturationKind[] = ['static', ...modes];
const warmProducts = 300;
const hotShareOfViews = 0.4;
const connections = 64;
const rampMs = 400;
const pathCount = 5_000;

export async function measureSaturation(
  stage: Stage,
  market: Market,
  options: SaturationOptions,
): Promise<SaturationReport> {
  await stage.emptyCache();
  const shops = new Map<SaturationKind, Shops>();
  try {
    // Side by side: an idle shop costs next to nothing, a restart would cost its warmth.
    for (const mode of modes) shops.set(mode, await stage.startShops(mode));
    // The page that never changes needs neither cache nor database: any shop sends the same.
    shops.set('static', shops.get('none')!);

    const paths = productPaths(market, options.seed);
    const slices: Record<SaturationKind, number[]> = { static: [], none: [], ttl: [], larder: [] };
    const cpuMicros: Record<SaturationKind, number[]> = { static: [], none: [], ttl: [], larder: [] };
    const burst = (kind: SaturationKind, durationMs: number) =>
      stage.generator.burst({
        shopUrls: shops.get(kind)!.urls,
        paths: kind === 'static' ? ['/static'] : paths,
        connections,
        rampMs,
        durationMs,
      });
    for (const kind of kinds) await burst(kind, warmUpMs);

    for (let round = 0; round < options.rounds; round += 1) {
      // Another kind begins each round, so that none always follows the same one.
      for (let turn = 0; turn < kinds.length; turn += 1) {
        const kind = kinds[(round + turn) % kinds.length]!;
        const { urls } = shops.get(kind)!;
        const before = await readShopCounts(urls, market.hotProductId);
        const result = await burst(kind, options.sliceSeconds * 1_000);
        const after = await readShopCounts(urls, market.hotProductId);
        if (result.errors > 0) throw new Error(`${result.errors} of the ${kind} pages failed at saturation.`);
        slices[kind].push((result.pages * 1_000) / result.durationMs);
        cpuMicros[kind].push((after.cpuMicros - before.cpuMicros) / Math.max(1, after.pages - before.pages));
      }
      options.report?.(
        `round ${round + 1} of ${options.rounds}: ${kinds.map((kind) => `${kind} ${slices[kind][round]!.toFixed(0)}`).join(', ')} pages/s`,
      );
    }
    return {
      connections,
      sliceSeconds: options.sliceSeconds,
      slices,
      ratios: {
        larderToNone: ratioOf(slices.larder, slices.none),
        larderToTtl: ratioOf(slices.larder, slices.ttl),
        larderToStatic: ratioOf(slices.larder, slices.static),
      },
      serverCpuMicrosPerPage: perKind((kind) => median(cpuMicros[kind])),
    };
  } finally {
    for (const mode of modes) await shops.get(mode)?.stop();
  }
}

// Long enough for every warm product to be asked for on both shop processes, and for code to get hot.
const warmUpMs = 1_500;

export function perKind<Value>(of: (kind: SaturationKind) => Value): Record<SaturationKind, Value> {
  return { static: of('static'), none: of('none'), ttl: of('ttl'), larder: of('larder') };
}

function productPaths(market: Market, seed: number): string[] {
  const random = seededRandom(`saturation/${seed}`);
  const warm = market.products.slice(0, warmProducts);
  const ordinary = weighted(
    warm.map((product) => product.weight),
    random.fork('products'),
  );
  return Array.from({ length: pathCount }, () =>
    productPath(random.next() < hotShareOfViews ? market.hotProductId : warm[ordinary()]!.id),
  );
}
