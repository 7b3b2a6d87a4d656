/**
 * Where changes come from, by capability: an ordered stream of committed transactions with positions, and a
 * way to ask what new readers of the database see. The invalidator needs both: an event may arrive before its
 * row is visible (see invalidator.ts).
 */
import type { SourceCapabilities } from '../capabilities.ts';
import type { WatchedRow } from '../definition.ts';

/**
 * One row of a watched table. `before` is undefined for an insert, `after` for a deletion. Rows may be read only
 * while the call that brought them lasts. Reading a column that the database didn't send may throw: then
 * everything of the table must be taken as changed, as when it isn't `identified`.
 */
export interface RowChange {
  readonly table: string;
  readonly before: WatchedRow | undefined;
  readonly after: WatchedRow | undefined;
  /**
   * False when the database didn't say which row it was, as far as the watchers' columns go: everything of the
   * table must be taken as changed.
   */
  readonly identified: boolean;
}

/** How a stream (re)begins. */
export interface Resumption {
  /** Everything committed up to here was acknowledged before, and was visible then. */
  readonly position: bigint;
  /** True when something may be missing before `position`: the stream is new, or its memory was lost. */
  readonly fresh: boolean;
  /** Names the history that positions belong to; when it changes, positions can't be compared. */
  readonly history: string;
}

/** Called in the stream's order, between one `resumed` and the next. */
export interface ChangeSink {
  resumed(from: Resumption): void;
  begin(transaction: bigint): void;
  change(change: RowChange): void;
  truncated(tables: readonly string[]): void;
  /**
   * A message that an application wrote into this transaction, see touch-message.ts. `prefix` may be another
   * cache's; `content` anything.
   */
  touched?(prefix: string, content: string): void;
  /** `position` is the end of the commit; `committedAtMs` the database's wall clock. */
  commit(position: bigint, committedAtMs: number): void;
  /** Every watched commit up to `position` has been handed over. */
  progress(position: bigint): void;
  state(state: SourceState, cause?: Error): void;
  /**
   * For sources that keep no memory of their consumer: up to where everything is applied in every partition of
   * the shared tier, and was visible, under one history; undefined when there is no such place. Rejects while the
   * shared tier can't be asked.
   */
  remembered?(): Promise<Pick<Resumption, 'position' | 'history'> | undefined>;
}

export type SourceState = 'connecting' | 'standby' | 'streaming' | 'stopped';

/** What the database looked like at one moment. */
export interface Horizon {
  /** Every commit that was acknowledged before the question has a position up to this. */
  readonly position: bigint;
  /** Do new readers see this transaction (or was it rolled back)? */
  isVisible(transaction: bigint): boolean;
  /** Have all transactions that began before this one ended? */
  isPast(transaction: bigint): boolean;
}

export interface SourceTable {
  readonly table: string;
  /** Columns that watchers read. */
  readonly columns: readonly string[];
  /** False when updates and deletions must be identified by those columns. */
  readonly appendOnly: boolean;
}

export interface ChangeSource {
  readonly name: string;
  /** Default: all. */
  readonly capabilities?: SourceCapabilities;
  /**
   * Starts, and keeps reconnecting until `stop`. Resolves when it streams or stands by for another consumer;
   * rejects with FeedConfigError when the database is set up wrongly.
   */
  start(tables: readonly SourceTable[], sink: ChangeSink): Promise<void>;
  horizon(): Promise<Horizon>;
  /** A new transaction's number: all that are in progress have smaller ones. */
  barrier(): Promise<bigint>;
  /** Asks the stream for a `progress` as recent as possible, soon. */
  requestProgress(): void;
  /** Everything up to here is applied and visible; it will not be asked for again. */
  acknowledge(position: bigint): void;
  /**
   * Back-pressure: while held, the source reads no more than what is already under way. A new stream begins
   * not held. A source without it must bring no more than the queues take (50,000 keys).
   */
  hold?(held: boolean): void;
  stop(): Promise<void>;
}
