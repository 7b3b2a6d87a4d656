/** What every request handler needs; built once by the composition root. */
import type { EngineStore } from '@larder/engine/store/engine-store';
import type { Host } from '@larder/fleet/host';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import type { MetricStore } from '@larder/metrics/metric-store';
import type { Buckets } from './bucket/bucket.ts';
import type { Database } from './database/connect.ts';
import type { LogFailures } from './log-delivery/log-failures.ts';
import type { Placement } from './placement/placement.ts';
import type { Publish } from './topic/topics.ts';

export interface ControlContext {
  readonly database: Database;
  readonly host: Host;
  readonly engines: EngineStore;
  /** Knows what a version takes as a setting or an access rule. */
  readonly scratch: ScratchEngines;
  /** Missing: the service knows no object store. */
  readonly buckets?: Buckets | undefined;
  /** Data of all metrics, our own and those that others put. */
  readonly metrics: MetricStore;
  readonly placement: Placement;
  readonly nowMs: () => number;
  /** Tells a topic's subscribers, at least once. */
  readonly publish: Publish;
  /** Why logs of it were not delivered last. */
  readonly logFailures: (resource: 'replication-group' | 'cache-cluster', id: string) => LogFailures;
  /** Called after a commit, with the resource to look at. */
  readonly wake: (
    resource: 'replication-group' | 'cache-cluster' | 'snapshot' | 'snapshot-export' | 'scaling',
    id: string,
  ) => void;
}
