/**
 * (pure) Which promises a source of changes, an engine and the loaders' database can keep together. What can't be
 * kept is refused while constructing, with what to do instead: every combination refused here was seen to serve
 * stale values, by a model or by measurement.
 *
 * The reasons. A change's event can arrive before new readers see its row. An engine that compares stamps refuses
 * the fill of who read too early: it needs a position for the event, or a transaction number. An engine that only
 * leases knows nothing of positions: the invalidation itself must wait until the change is visible, so somebody
 * must be able to say when it is. And visible on the primary isn't visible on a replica.
 */

/** 'stamps': compares positions while it stores. 'leases': stores only what was not deleted since the miss. */
export type EngineKind = 'stamps' | 'leases';

export interface SourceCapabilities {
  /** Each event says where in the log its commit is. */
  readonly position: boolean;
  /** Somebody can say which events' changes new readers of the primary see. */
  readonly visibility: boolean;
}

export interface Combination {
  readonly engine: EngineKind;
  readonly guarantee: 'bounded' | 'eventual';
  /** What a feed brings; undefined: there is none, events come from the application after its commit. */
  readonly source: SourceCapabilities | undefined;
  /** Events may come before their commit: triggers. */
  readonly eventsBeforeCommit: boolean;
  /** The cache can ask the primary for transaction numbers. */
  readonly transactions: boolean;
  readonly loaders: 'primary' | 'replica';
}

/** What to do instead; undefined: the combination keeps its promise. */
export function refusalOf(combination: Combination): string | undefined {
  const { engine, guarantee, source, eventsBeforeCommit, transactions, loaders } = combination;
  if (loaders === 'replica') {
    return 'Loaders must read the primary: a replica may not have what the cache was told already, and its old row would be kept.';
  }
  if (source !== undefined) {
    if (guarantee === 'eventual' && transactions) {
      return "A feed's positions and transaction numbers can't be compared: leave `database` out, or use `guarantee: 'bounded'`.";
    }
    if (!source.visibility) {
      return 'The source can not say when a change is visible, and its events may come before: the old row would be kept. Deliver them with `applyEvents` instead.';
    }
    if (!source.position) {
      return 'The source has no positions, so nothing proves how far it is: deliver its events with `applyEvents` instead.';
    }
  }
  if (engine === 'leases' && guarantee === 'eventual' && transactions) {
    return 'memcached compares no transaction numbers: leave `database` out and deliver events after their commit, or use Valkey.';
  }
  if (eventsBeforeCommit && engine === 'leases') {
    return 'On memcached an event must come after its change is visible to loaders: deliver it after the commit, use a feed, or Valkey.';
  }
  if (eventsBeforeCommit && !(guarantee === 'eventual' && transactions)) {
    return 'Events that may come before their commit need `database` and `guarantee: "eventual"` in createCache.';
  }
  return undefined;
}

/** What a leasing engine lacks by nature. */
export const leasesLack = {
  tags: 'memcached has no way to invalidate a tag in one step with the fills that are under way: use `watches` with `key`, or Valkey.',
  strict: 'memcached can not hold a key back before the commit: touch without `strict`, or use Valkey.',
  near: 'memcached tells nobody of invalidations, so a near tier could prove nothing: leave `near` out or false, or use Valkey.',
  replicas: 'memcached has no replicas to read from: leave `reads` out.',
  partitions: 'memcached places keys by its nodes: leave `partitions` out.',
  structures: 'Sessions, boards and counters need an engine that runs scripts: use Valkey or Redis for them.',
} as const;
