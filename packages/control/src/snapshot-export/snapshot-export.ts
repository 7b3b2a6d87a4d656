/** The nouns of an export: a snapshot's files on their way to a bucket. It is forgotten when it has ended. */
import type { ObjectPlace } from '@larder/fleet/object-store/object-store';

/** `cleaning`: it failed, and what it left in the bucket is taken away. */
export type ExportStatus = 'exporting' | 'cleaning';

export interface SnapshotExport {
  /** `BUCKET/NAME`. */
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  /** The snapshot's name. */
  readonly source: string;
  readonly status: ExportStatus;
  /** In a row that led to nothing. */
  readonly attempts: number;
  readonly retryAtMs: number;
  /** Each whose upload was begun, `whole` when it ended. */
  readonly shards: readonly { readonly id: string; readonly whole: boolean }[];
}

/** (pure) As ElastiCache names them. */
export function objectOf(
  { bucket, name }: Pick<SnapshotExport, 'bucket' | 'name'>,
  shard: string,
): ObjectPlace {
  return { bucket, key: `${name}-${shard}.rdb` };
}

/** After that many an export fails, or its rest is left where it is. */
export const mostAttempts = 6;

/** (pure) How long it is left alone after that many. */
export function retryDelayMs(attempts: number): number {
  return 500 * 2 ** Math.max(0, attempts - 1);
}
