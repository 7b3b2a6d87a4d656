/** What a sale is played on: PostgreSQL, the replication group, the load generator, and shops on demand. */
import type { PostgresAddress } from '../postgres/server.ts';
import type { CacheGroup } from '../sale/cache-group.ts';
import type { LoadGenerator } from '../sale/load-generator.ts';
import type { Mode } from '../sale/report.ts';

export interface Shops {
  readonly mode: Mode;
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

export interface Stage {
  readonly postgres: PostgresAddress;
  readonly postgresVersion: string;
  readonly group: CacheGroup;
  readonly generator: LoadGenerator;
  readonly hotProductId: number;
  /** Where the shop's contents came from. */
  readonly data: Readonly<Record<string, string | number | null>>;
  /**
   * The shop processes of one mode, and in mode larder the invalidator, all ready.
   */
  startShops(mode: Mode): Promise<Shops>;
  /** Empties the cache. No shop that uses it may be running. */
  emptyCache(): Promise<void>;
}

export const shopProcessesPerMode = 2;
