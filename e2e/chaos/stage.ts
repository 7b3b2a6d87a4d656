/** What is broken and watched: some shards of real engines with somebody who heals them, and the way clients go in. */
import type { ClientPlan, Place } from '../../testing/cache-client.ts';

export interface StageNode extends Place {
  readonly name: string;
  /** Index of the shard. */
  readonly shard: number;
  /** The host it runs on, where there are several. */
  readonly onHost?: string;
  /** Of the process that runs now. */
  readonly pid: () => number | undefined;
}

export interface Stage {
  readonly client: ClientPlan;
  /** A hash tag for each shard, whose slot is that shard's. The first shard is the one that is hit. */
  readonly tags: readonly string[];
  readonly nodes: readonly StageNode[];
  /** Put before the programs of clients, where they run on a machine of their own. */
  readonly clientPrefix?: readonly string[];
  /** Every shard has one primary, all others are in sync with it, and its healer is content. */
  whole(): Promise<void>;
  close(): Promise<void>;
}

/** What a fault leaves behind. */
export interface Injected {
  /** When it took effect, on the clock of bench/monotonic.ts; else when it was ordered. */
  readonly atMs?: number;
  /** Brings back what was taken away; called once, also when the repetition failed. */
  undo(): Promise<void>;
  /** When a client beside the deposed primary, on its host, was acknowledged something. Asked for before `undo`. */
  readonly besideAckedMs?: () => readonly number[];
  /** What the fault itself saw, for the report; asked for before `undo`. */
  readonly saw?: () => Promise<Readonly<Record<string, number>>>;
}

export interface Fault<S extends Stage = Stage> {
  /** Ordered by its effect: returns as soon as it is there. @param primary of the first shard. */
  inject(stage: S, primary: StageNode): Promise<Injected>;
}

export const nothingToUndo: Injected = { undo: async () => {} };
