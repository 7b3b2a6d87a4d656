/** (pure) What is written down of one repetition. All times are `nowMs` of bench/monotonic.ts. */

/** One write of a client, with a value and a key nobody else writes. */
export interface Write {
  readonly number: number;
  readonly shard: number;
  readonly sentMs: number;
  /** undefined: it failed, or was not answered before the end. It may have taken effect all the same. */
  readonly ackedMs: number | undefined;
}

/** A question to one node whether it takes writes now: a write command that changes nothing. */
export interface Probe {
  readonly node: string;
  readonly shard: number;
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly accepted: boolean;
}

export interface Reads {
  readonly count: number;
  /** Answers older than one that the same reader had got before it asked. */
  readonly stale: number;
  /** The longest time between two answers after the fault. */
  readonly gapMs: number;
}

export interface History {
  readonly faultMs: number;
  readonly endedMs: number;
  /** The shard that is hit, and the node that was its primary before. */
  readonly victim: { readonly shard: number; readonly primary: string };
  /** Of an ordinary client, which follows the primary as clients do. */
  readonly writes: readonly Write[];
  /** Of a client that holds on to the node that was the primary before the fault, by its own address. */
  readonly clinging: readonly Write[];
  /** When a client on the host of the deposed primary was acknowledged a write there, from the fault on. */
  readonly besideAckedMs: readonly number[];
  /** Numbers of acknowledged writes that are not there in the end, of each of the two. */
  readonly missing: { readonly writes: readonly number[]; readonly clinging: readonly number[] };
  /** In the order in which they were answered. */
  readonly probes: readonly Probe[];
  readonly reads: Reads;
  /** Full synchronisations that any node served. */
  readonly fullSyncs: number;
  /** Failed requests of the ordinary client, by kind. */
  readonly errors: Readonly<Record<string, number>>;
}
