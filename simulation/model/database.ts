/**
 * The database, as far as the protocols can tell: n transactions that all change the row behind one key.
 *
 * A commit has two moments. Its record enters the log and is streamed; new snapshots see it. Either may come
 * first, and transactions may become visible in another order than their records lie in the log. Transactions are
 * numbered in log order, so T1's position is 1. A value is the set of transactions that the read saw, as bits.
 */
import type { Take } from './checker.ts';

export interface Database {
  /** Commit records in the log: those of T1 to T`logged`. */
  logged: number;
  /** Bits of transactions that new snapshots of the primary see. */
  visible: number;
  /** A read replica has replayed up to this position: it shows exactly T1 to T`replayed`. */
  replayed: number;
}

export interface Bounds {
  readonly transactions: number;
  readonly fillers: number;
}

export function emptyDatabase(): Database {
  return { logged: 0, visible: 0, replayed: 0 };
}

export function bit(transaction: number): number {
  return 1 << (transaction - 1);
}

/** Bits of T1 to T`position`. */
export function upTo(position: number): number {
  return (1 << position) - 1;
}

/** The highest position up to which everything is visible. */
export function visiblePrefix(visible: number): number {
  let prefix = 0;
  while ((visible & bit(prefix + 1)) !== 0) prefix += 1;
  return prefix;
}

/** The lowest transaction of `needed` that `value` lacks, or undefined. */
function lacking(value: number, needed: number): number | undefined {
  const lacks = needed & ~value;
  return lacks === 0 ? undefined : 32 - Math.clz32(lacks & -lacks);
}

export function named(value: number): string {
  const names: string[] = [];
  for (let t = 1; value >> (t - 1) !== 0; t += 1) if ((value & bit(t)) !== 0) names.push(`T${t}`);
  return names.length === 0 ? 'the initial row' : `the row with ${names.join(', ')}`;
}

/** Invariant G0: a read that returns `entry` must have seen every transaction whose invalidation was applied. */
export function staleRead(entry: number, invalidated: number): string | undefined {
  const lacks = entry < 0 ? undefined : lacking(entry, invalidated);
  return lacks === undefined ? undefined : `a read returns ${named(entry)}; T${lacks} was invalidated`;
}

/** Steps that the database takes by itself. */
export function databaseSteps<S extends { database: Database }>(
  state: S,
  take: Take<S>,
  { transactions, replica = false }: { readonly transactions: number; readonly replica?: boolean },
): void {
  const { logged, visible, replayed } = state.database;
  if (logged < transactions) {
    take(`database: the commit record of T${logged + 1} enters the log`, (next) => {
      next.database.logged += 1;
    });
  }
  for (let t = 1; t <= logged; t += 1) {
    if ((visible & bit(t)) !== 0) continue;
    take(`database: T${t} becomes visible to new snapshots`, (next) => {
      next.database.visible |= bit(t);
    });
  }
  if (replica && replayed < logged) {
    take(`database: the replica replays T${replayed + 1}`, (next) => {
      next.database.replayed += 1;
    });
  }
}

/** What a loader gets that reads the primary, or the replica. */
export function rowSeen(database: Database, from: 'primary' | 'replica'): number {
  return from === 'primary' ? database.visible : upTo(database.replayed);
}
