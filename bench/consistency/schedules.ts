/**
 * Known ways to break a cache that is invalidated by change events, and where this proof has each of them. What
 * stands under `elsewhere` is tested, but not by random histories; what stands under `outside` does not apply.
 */
export interface Schedule {
  readonly name: string;
  /** Names of faults, or of other parts of this proof. */
  readonly here?: readonly string[];
  readonly elsewhere?: string;
  readonly outside?: string;
}

export const schedules: readonly Schedule[] = [
  {
    name: 'a fill is paused across an invalidation',
    here: ['race: same process', 'race: other process', 'race: feed only'],
  },
  {
    name: 'an event arrives before its row is visible',
    here: ['race: feed, before visibility', 'commit waits for a standby: event before visibility'],
  },
  {
    name: 'two commits become visible in another order',
    here: ['commit waits for a standby: event before visibility'],
  },
  { name: 'a read replica is paused', outside: 'loaders must read the primary' },
  {
    name: 'a prepared transaction is open over a new stream',
    here: ['transaction left prepared', 'transaction left prepared over a new stream'],
  },
  { name: 'a savepoint is rolled back', here: ['savepoint rolled back'] },
  { name: 'a long write transaction', here: ['long write transaction'] },
  { name: 'synchronous_commit = off and a crash', outside: 'documented as beyond the promise' },
  {
    name: 'the consumer dies before or after the engine confirmed',
    here: ['invalidator killed, another one takes over', 'all invalidators killed: no feed'],
  },
  { name: 'the slot is lost', here: ['slot dropped'] },
  {
    name: 'the database fails over',
    elsewhere: 'a new timeline is another history: partition-feed.ts; no standby is run here',
  },
  {
    name: 'the engine is flushed, restarted empty, paused, or replaced by a replica that lags',
    here: [
      'engine flushed',
      'engine killed and started empty',
      'engine paused (CLIENT PAUSE)',
      'engine stopped and continued',
      'engine fails over to a replica that lags',
    ],
  },
  { name: 'the engine evicts the protocol state', here: ['engine flushed'] },
  {
    name: 'a consumer that was replaced wakes up',
    here: ['invalidator stopped, replaced, and continued (zombie)', 'invalidator stopped and continued'],
  },
  {
    name: 'a command times out and is executed later',
    here: ['engine stopped and continued', 'engine paused (CLIENT PAUSE)'],
  },
  {
    name: 'messages to near tiers are lost, and connections come back',
    here: ['message connections cut', 'command connections cut'],
  },
  {
    name: 'a primary key changes, a table is truncated, a transaction is huge',
    here: [
      'key changes',
      'table truncated and filled again',
      'bulk change beyond the limit of one transaction',
    ],
  },
  {
    name: 'a loader runs inside a writing transaction',
    outside: 'loaders read committed rows by their own connection',
  },
  { name: 'a loader of several statements with a commit between them', here: ['slow loaders'] },
  { name: 'transaction ids wrap around', elsewhere: 'feed/snapshot.test.ts' },
  { name: 'a pooler changes the backend', outside: 'the loader takes no token from its session' },
  { name: 'clocks jump', elsewhere: 'documented; near/near.engine.test.ts and far/failover.engine.test.ts' },
  {
    name: 'events without positions are repeated or reordered',
    outside: "this proof runs PostgreSQL's own stream",
  },
  { name: 'an absent row is cached and then inserted', here: ['rows come and go'] },
  { name: 'memcached restarts between lease and fill', outside: 'this proof runs Valkey' },
];

/** Part of every history's ordinary traffic, so nobody counts them. */
export const ordinaryTraffic: readonly string[] = ['key changes', 'rows come and go', 'slow loaders'];
