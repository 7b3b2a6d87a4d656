/**
 * The result of a whole sale, as `report.json` holds it. Clock times are milliseconds since 1970, money is in
 * cents, latencies count from a request's intended start. Reference: `docs/reference/report.md`.
 */
import type { Mode } from '../shop/catalogue.ts';
import type { Observation } from './observation.ts';

export type { Mode } from '../shop/catalogue.ts';

export const modes: readonly Mode[] = ['none', 'ttl', 'larder'];
export const reportVersion = 1;
/** No page may show what was replaced longer than this before it was asked for. */
export const freshnessBoundMs = 250;

export interface SaleReport {
  readonly reportVersion: typeof reportVersion;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** From the first step of setting up to the last measurement. */
  readonly durationSeconds: number;
  /** What to type to run the same sale again. */
  readonly command: string;
  /** Of the crowd, of the prices and of the seeded shop. */
  readonly seed: number;
  readonly environment: Environment;
  readonly modes: Readonly<Record<Mode, ModeReport>>;
  readonly freshness: FreshnessReport;
  readonly failover: FailoverReport;
  readonly saturation: SaturationReport;
  /** The medians of `saturation`. */
  readonly saturationPagesPerSecond: Readonly<Record<SaturationKind, number>>;
  /** The run exits with 0 when every one is held. */
  readonly promises: readonly PromiseReport[];
}

export interface Environment {
  readonly cores: number;
  readonly memoryGiB: number;
  readonly processor: string;
  readonly operatingSystem: string;
  readonly node: string;
  /** Of the cache's engine, as the service names it, for example `valkey 9.1.0`. */
  readonly engine: string;
  readonly postgres: string;
  readonly shopProcesses: number;
  /** What the shop sells: the seed's sizes, or the file it was imported from. */
  readonly data: Readonly<Record<string, string | number | null>>;
}

/** One mode's sale. Counts are of the measured time, after the warm-up, unless they say otherwise. */
export interface ModeReport {
  readonly mode: Mode;
  readonly measuredSeconds: number;
  /** Steps of visitors whose intended start lay in the measured time. */
  readonly offeredPerSecond: number;
  /** Of those, answered as they should be. */
  readonly achievedPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** A request without an answer counts with the 5 s after which its visitor left. */
  readonly maxMs: number;
  /** No answer within 5 s of the intended start, a broken connection, or a status of 400 and above. */
  readonly errors: number;
  /** Steps of buyers that never came because a step before them failed. */
  readonly abandoned: number;
  /** Answered as they should be. */
  readonly pages: number;
  readonly orders: number;
  /** Checkouts refused because the units were gone: the right answer to a buyer who came too late. */
  readonly soldOutAnswers: number;
  /** Statements that the shop processes sent to PostgreSQL. */
  readonly databaseQueries: number;
  readonly databaseQueriesPerPage: number;
  /** User and system time of the shop processes, for each page they answered. */
  readonly serverCpuMicrosPerPage: number;
  /** Where the shown products came from; the three add up to 1. */
  readonly hitRate: { readonly near: number; readonly far: number; readonly database: number };
  /** Product pages that the auditor judged, the warm-up's included. */
  readonly auditedPages: number;
  /** Of those: showed what had been replaced more than `freshness.boundMs` before they were asked for. */
  readonly stalePages: number;
  /** Of those: showed a price and a stock that never were true together. */
  readonly phantomPages: number;
  /** The longest time by which a page was out of date, within the bound or not. */
  readonly worstStaleMs: number;
  readonly staleExamples: readonly (Observation & { readonly staleMs: number | null })[];
  readonly soldUnits: number;
  readonly oversoldUnits: number;
  readonly duplicateOrders: number;
  /** Committed transactions that changed what the hot product's page shows. */
  readonly hotChanges: number;
  /** Loads of the hot product from the database, by all shop processes. */
  readonly hotLoads: number;
  /** Below 1 where changes came so close together that nobody read the page between two of them. */
  readonly loadsPerHotChange: number;
  readonly priceChanges: number;
  /** Price changes that some shop process still did not show 3 s after their COMMIT. */
  readonly priceChangesUnseen: number;
  readonly commitToVisibleMs: Spread;
  readonly points: readonly Point[];
  readonly events: readonly SaleEvent[];
}

/** Null when there was nothing to measure. */
export interface Spread {
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** Of mode larder. */
export interface FreshnessReport {
  readonly boundMs: number;
  /** From an acknowledged COMMIT to the first page with the new price on the slower shop process. */
  readonly commitToVisibleMs: Spread;
  readonly changes: number;
  /** Changes committed while nobody could write to the cache; they are among the others too. */
  readonly changesWhilePrimaryDown: number;
}

/** Of mode larder. */
export interface FailoverReport {
  readonly killedAtMs: number;
  /** Longest time between two acknowledged writes of an independent writer that tries every 2 ms. */
  readonly writeGapMs: number;
  /** Requests of visitors that failed between the kill and two seconds after the first new write. */
  readonly failedRequests: number;
  /** Until the AWS API named the new primary; null when it did not within 30 s. */
  readonly promotionSeenAfterMs: number | null;
  readonly killedMemberId: string;
  readonly promotedMemberId: string | null;
  readonly priceChangedDuringGap: boolean;
  readonly priceVisibleAfterMs: number | null;
  /** The service's own events, oldest first. */
  readonly events: readonly { readonly atMs: number; readonly message: string }[];
}

export type SaturationKind = 'static' | Mode;

/** As many pages a second as each kind can send with everything warm, in slices that take turns. */
export interface SaturationReport {
  readonly connections: number;
  readonly sliceSeconds: number;
  /** One number per round, in the order of rounds. */
  readonly slices: Readonly<Record<SaturationKind, readonly number[]>>;
  /** Ratios within one round, so that a slow moment of the machine hits both sides. */
  readonly ratios: {
    readonly larderToNone: Ratio;
    readonly larderToTtl: Ratio;
    readonly larderToStatic: Ratio;
  };
  /** Shop processes' time for each page; unlike pages per second free of the generator's share. */
  readonly serverCpuMicrosPerPage: Readonly<Record<SaturationKind, number>>;
}

export interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface PromiseReport {
  readonly name: string;
  readonly held: boolean;
  readonly detail: string;
}

/** Half a second of a sale, for the charts. */
export interface Point {
  readonly atMs: number;
  readonly mode: Mode;
  readonly measuring: boolean;
  readonly offeredPerSecond: number;
  readonly answeredPerSecond: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly p99LastFiveSecondsMs: number;
  readonly ordersPerSecond: number;
  readonly databaseQueriesPerSecond: number;
  /** Since the mode began, as far as judged: the last second is still open. */
  readonly stalePages: number;
  readonly oversoldUnits: number;
}

export interface SaleEvent {
  readonly atMs: number;
  readonly kind: 'mode' | 'measuring' | 'price' | 'stock' | 'kill' | 'promoted' | 'process' | 'end';
  readonly text: string;
}
