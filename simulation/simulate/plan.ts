/**
 * What happens in one run, as data: reads, writes and faults, each with its moment, and how the caches are set up.
 * A seed gives a plan; shrinking takes things out of it. How long things take on the way is decided while it runs,
 * from the same seed.
 *
 * Two definitions. An `item` is made of one row of `left` and one of `right`, which its watches name by key. A `list`
 * is made of the rows of `member` that are in its group, which its watch names by tag.
 */
import { type Random, randomOf } from '../random.ts';

export const keyCount = 4;
export const groupCount = 2;
export const memberCount = 3;
export const readers = 3;

export type Table = 'left' | 'right' | 'member';

export interface Read {
  readonly atMs: number;
  readonly process: number;
  readonly of: 'item' | 'list';
  readonly key: number;
}

export interface RowWrite {
  readonly table: Table;
  readonly key: number;
  /** The group that a member is in from now on. */
  readonly group: number | undefined;
}

/** A transaction. */
export interface Write {
  readonly atMs: number;
  readonly rows: readonly RowWrite[];
  /** Its log says TRUNCATE of this table, instead of the rows, which are all of the table's. */
  readonly truncates: Table | undefined;
  /** From its begin to its commit record, and to when new readers see it. Either may be the shorter. */
  readonly logMs: number;
  readonly showMs: number;
  /** A process whose application invalidates when the commit has returned, each row's key or its tag, or none. */
  /** Without a feed: the process that is handed the events, before the commit or after it, once or again. */
  readonly event: { readonly to: number; readonly beforeCommit: boolean; readonly again: boolean };
  readonly invalidates: { readonly from: number; readonly by: 'key' | 'tag' } | undefined;
}

export const faultKinds = [
  'cut',
  'hang',
  'slow',
  'lossy',
  'engine pause',
  'engine flush',
  'engine restart',
  'evict',
  'failover',
  'replica lag',
  'lost messages',
  'clock jump',
  'stream break',
  'stream late',
  'database stall',
  'consumer crash',
  'slot lost',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly forMs: number;
  /** Which process, where it is one's. */
  readonly process: number;
  /** A choice that the kind makes something of: a number from 0 to 999. */
  readonly detail: number;
}

/** How the caches are made. */
export interface Setup {
  /** Changes come by a feed, under the bound; or as events without a position, under 'eventual'. */
  readonly changes: 'feed' | 'events';
  /** By process: does it read from replicas of the engine? */
  readonly replicas: readonly boolean[];
  /** The engine's replica is never further behind than this. 0: not at all. */
  readonly replicaLagMs: number;
  readonly freshMs: number;
  readonly staleMs: number;
  readonly maxKeysPerTransaction: number;
}

export interface Plan {
  readonly seed: number;
  readonly durationMs: number;
  readonly setup: Setup;
  readonly reads: readonly Read[];
  readonly writes: readonly Write[];
  readonly faults: readonly Fault[];
}

/** What shrinking takes things out of. */
export const parts = ['faults', 'reads', 'writes'] as const;

/** Longer than any run. */
export const longFreshMs = 60_000;

export function planOf(seed: number): Plan {
  const random = randomOf(seed);
  const durationMs = 800;
  const moments = (count: number): number[] =>
    Array.from({ length: count }, () => random.between(0, durationMs)).sort((a, b) => a - b);
  const setup = setupOf(random.stream('setup'));
  return {
    seed,
    durationMs,
    setup,
    reads: moments(random.between(60, 160)).map((atMs) => {
      const process = random.between(0, readers - 1);
      return random.chance(0.25)
        ? { atMs, process, of: 'list', key: random.between(0, groupCount - 1) }
        : { atMs, process, of: 'item', key: skewed(random) };
    }),
    writes: moments(random.between(4, 24)).map((atMs) => writeAt(atMs, random, setup)),
    faults: moments(random.between(0, 5)).map((atMs) => ({
      atMs,
      kind: random.pick(faultKinds),
      // Some outlast the bound by far.
      forMs: random.between(5, random.chance(0.3) ? 500 : 200),
      process: random.between(0, readers),
      detail: random.between(0, 999),
    })),
  };
}

/** Rows that decide what is kept under this full key. */
export function dependenciesOf(fullKey: string): readonly string[] {
  const [name, , key] = fullKey.split(':');
  if (name === 'item') return [`left:${key}`, `right:${key}`];
  return Array.from({ length: memberCount }, (_, member) => `member:${member}`);
}

function setupOf(random: Random): Setup {
  const changes = random.chance(0.25) ? 'events' : 'feed';
  return {
    changes,
    // A replica's lag is known by its beat, which only a feed gives.
    replicas: Array.from({ length: readers }, () => random.chance(0.35) && changes === 'feed'),
    replicaLagMs: random.pick([0, 0, 15, 40]),
    freshMs: random.chance(0.5) ? longFreshMs : random.pick([40, 120, 400]),
    staleMs: random.pick([0, 50, 300]),
    maxKeysPerTransaction: random.pick([2, 10_000]),
  };
}

function skewed(random: Random): number {
  return Math.floor(random.next() ** 2 * keyCount);
}

function writeAt(atMs: number, random: Random, { changes }: Setup): Write {
  const usual = random.chance(0.5);
  // Not covered as events, which void a partition without the stamps of other events under way.
  const truncates = random.chance(0.06) && changes === 'feed' ? tableOf(random) : undefined;
  return {
    atMs,
    rows: truncates === undefined ? rowsOf(random) : all(truncates, random),
    truncates,
    logMs: random.between(1, usual ? 3 : 20),
    showMs: random.between(1, usual ? 5 : 90),
    event: {
      to: random.between(0, readers - 1),
      beforeCommit: random.chance(0.5),
      again: random.chance(0.2),
    },
    invalidates: random.chance(0.25)
      ? { from: random.between(0, readers - 1), by: random.pick(['key', 'tag']) }
      : undefined,
  };
}

function rowsOf(random: Random): readonly RowWrite[] {
  const side = random.pick(['left', 'right'] as const);
  const kind = random.next();
  if (kind < 0.6) return [{ table: side, key: skewed(random), group: undefined }];
  if (kind < 0.82) return [memberAt(random.between(0, memberCount - 1), random)];
  if (kind < 0.96) return all(side, random);
  return [...all('left', random), ...all('member', random)];
}

/** Truncating what decides tags voids everything, so it is seldom. */
function tableOf(random: Random): Table {
  return random.chance(0.15) ? 'member' : random.pick(['left', 'right']);
}

function all(table: Table, random: Random): readonly RowWrite[] {
  if (table === 'member') return Array.from({ length: memberCount }, (_, key) => memberAt(key, random));
  return Array.from({ length: keyCount }, (_, key) => ({ table, key, group: undefined }));
}

function memberAt(key: number, random: Random): RowWrite {
  return { table: 'member', key, group: random.between(0, groupCount - 1) };
}
