/** Where data of metrics are kept: what is read of it, whatever keeps it. */
import type { Metric, Unit } from './metric.ts';
import type { Datum, Summary } from './summary.ts';

export interface RecordedData {
  readonly metric: Metric;
  readonly unit: Unit;
  /** 1 for a metric of high resolution; 60 for others: their data are kept by the minute. */
  readonly resolutionSeconds: 1 | 60;
  /**
   * How they are rolled up, where it is not the usual way: into every longer period, with their values.
   * `within-minute`: they are looks inside a minute whose own datum is recorded besides, as CloudWatch has one for a
   * minute; no period of a minute or more counts them, and no shorter one counts that. `without-values`: in the rollups beyond a minute values are not kept.
   */
  readonly rollUp?: 'within-minute' | 'without-values' | undefined;
  readonly data: readonly Datum[];
}

export interface PointsQuery {
  readonly metric: Metric;
  /** Only data of this unit. Data of several units are never mixed: without it each unit has points of its own. */
  readonly unit?: Unit | undefined;
  /** From here on, and before the end. Both are whole periods. */
  readonly startMs: number;
  readonly endMs: number;
  readonly periodSeconds: number;
}

export interface Point {
  readonly startMs: number;
  readonly unit: Unit;
  readonly summary: Summary;
}

export interface MetricFilter {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** Each must be there; without a value any will do. */
  readonly dimensions?: readonly { readonly name: string; readonly value?: string | undefined }[] | undefined;
  /** Only metrics that had data since. */
  readonly sinceMs?: number | undefined;
}

export interface MetricReader {
  /** Ascending; a period without data has no point. What was recorded a moment ago is there. */
  read(query: PointsQuery): Promise<Point[]>;
  /** In the order of their keys, each once. */
  list(filter: MetricFilter): Promise<Metric[]>;
}

export interface MetricStore extends MetricReader {
  /** Resolves when a kill -9 of this process loses none of it. */
  record(recorded: readonly RecordedData[]): Promise<void>;
}
