/**
 * Visibility on a PostgreSQL primary, from `pg_current_snapshot()`: `xmin:xmax:in,progress`. It lists top-level
 * transactions only, and the feed names top-level transactions only, so the comparison is exact.
 */

export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly inProgress: ReadonlySet<bigint>;
}

export function parseSnapshot(text: string): Snapshot {
  const [xmin, xmax, list] = text.split(':');
  if (xmin === undefined || xmax === undefined || list === undefined) {
    throw new RangeError(`Not a snapshot: ${text}`);
  }
  const inProgress = new Set(list === '' ? [] : list.split(',').map(BigInt));
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), inProgress };
}

/** A transaction at or beyond xmax counts as not visible: one that waits for a standby can be there. */
export function isVisibleIn(snapshot: Snapshot, xid: bigint): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.inProgress.has(xid));
}

/** The stream names 32 bits; `near` is any recent full number. */
export function extendXid(xid32: number, near: bigint): bigint {
  const difference = (xid32 - Number(near & 0xffff_ffffn)) | 0;
  return near + BigInt(difference);
}
