/** The state, for as long as this process alone may change it. */
import type { Database } from '@larder/control/database/connect';
import type { LogDatabase } from '@larder/control/log-store/tables';
import type { MetricDatabase } from '@larder/control/metric/tables';

export interface HeldState {
  readonly database: Database;
  /** Where metrics' data are kept: lost and released with the state. */
  readonly metricDatabase: MetricDatabase;
  /** Where log events are kept, in the same way. */
  readonly logDatabase: LogDatabase;
  /** Rises whenever it is held anew: orders to hosts carry it. */
  readonly term: number;
  /** Resolves, with why, when another may have taken it over; nothing can be written any more then. */
  readonly lost: Promise<string>;
  release(): Promise<void>;
}
