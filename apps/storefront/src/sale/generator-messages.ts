/** What the sale and its load generator, a process of its own, say to each other. */
import type { CrowdPlan } from './crowd.ts';
import type { LatencySummary } from './latency-histogram.ts';

export type ToGenerator =
  | { readonly type: 'sale'; readonly sale: SaleOrder }
  | { readonly type: 'burst'; readonly burst: BurstOrder }
  /** Ends the sale: nothing new is sent, what is under way is awaited. */
  | { readonly type: 'stop' };

export type FromGenerator =
  | { readonly type: 'ready' }
  /** The warm-up is over: from here on everything counts. */
  | { readonly type: 'measuring'; readonly atMs: number }
  | { readonly type: 'tick'; readonly tick: Tick }
  | { readonly type: 'sale-ended'; readonly totals: SaleTotals }
  | { readonly type: 'burst-ended'; readonly result: BurstResult };

export interface SaleOrder {
  readonly shopUrls: readonly string[];
  readonly crowd: CrowdPlan;
  readonly warmUpSeconds: number;
  /** After the warm-up; until told to stop when left out. */
  readonly seconds?: number;
}

/** Everything that happened in one span of time. Clock times are milliseconds since 1970. */
export interface Tick {
  readonly atMs: number;
  readonly spanMs: number;
  readonly measuring: boolean;
  /** Steps whose intended start lay in the span. */
  readonly offered: number;
  readonly answered: number;
  readonly errors: number;
  readonly orders: number;
  readonly latency: LatencySummary;
  readonly lastFiveSeconds: LatencySummary;
  readonly waiting: number;
  /** `observationWidth` numbers per product page: see `observation.ts`. */
  readonly observations: Float64Array;
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly kind: 'timeout' | 'connection' | 'status';
  readonly step: string;
  /** For kind `status`. */
  readonly status?: number;
  readonly intendedAtMs: number;
  readonly endedAtMs: number;
}

/** Of the measured time only; latencies count from the intended start. */
export interface SaleTotals {
  readonly measuredMs: number;
  readonly offered: number;
  readonly answered: number;
  readonly errors: number;
  /** Steps of buyers that never came because a step before them failed. */
  readonly abandoned: number;
  readonly orders: number;
  readonly soldOut: number;
  readonly latency: LatencySummary;
}

/** As fast as it goes for a while, with a fixed number of requests under way: what the shop can do at most. */
export interface BurstOrder {
  readonly shopUrls: readonly string[];
  /** Asked for in this order, over and over. */
  readonly paths: readonly string[];
  readonly connections: number;
  /** Not counted: connections open, code gets hot. */
  readonly rampMs: number;
  readonly durationMs: number;
  /** Ends earlier, after this many requests. */
  readonly mostRequests?: number;
}

export interface BurstResult {
  readonly pages: number;
  readonly errors: number;
  readonly durationMs: number;
}
