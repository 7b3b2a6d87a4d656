/**
 * What happens in one run, as data: reads, writes and faults, each with its moment. A seed gives a plan; shrinking
 * takes things out of it. How long things take on the way is decided while it runs, from the same seed.
 */
import { type Random, randomOf } from './random.ts';

export const keyCount = 4;
export const readers = 3;

export interface Read {
  readonly atMs: number;
  readonly process: number;
  readonly key: number;
}

/** A transaction that changes one of the two rows behind a key. */
export interface Write {
  readonly atMs: number;
  readonly key: number;
  readonly row: 'left' | 'right';
  /** From its begin to its commit record, and to when new readers see it. Either may be the shorter. */
  readonly logMs: number;
  readonly showMs: number;
  /** A process whose application invalidates when the commit has returned, or none. */
  readonly invalidatesFrom: number | undefined;
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

export interface Plan {
  readonly seed: number;
  readonly durationMs: number;
  readonly reads: readonly Read[];
  readonly writes: readonly Write[];
  readonly faults: readonly Fault[];
}

export function planOf(seed: number): Plan {
  const random = randomOf(seed);
  const durationMs = 800;
  const moments = (count: number): number[] =>
    Array.from({ length: count }, () => random.between(0, durationMs)).sort((a, b) => a - b);
  return {
    seed,
    durationMs,
    reads: moments(random.between(60, 160)).map((atMs) => ({
      atMs,
      process: random.between(0, readers - 1),
      key: skewed(random),
    })),
    writes: moments(random.between(4, 24)).map((atMs) => writeAt(atMs, random)),
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

function skewed(random: Random): number {
  return Math.floor(random.next() ** 2 * keyCount);
}

function writeAt(atMs: number, random: Random): Write {
  const usual = random.chance(0.5);
  return {
    atMs,
    key: skewed(random),
    row: random.pick(['left', 'right']),
    logMs: random.between(1, usual ? 3 : 20),
    showMs: random.between(1, usual ? 5 : 90),
    invalidatesFrom: random.chance(0.2) ? random.between(0, readers - 1) : undefined,
  };
}
