/**
 * Far reads of one tick leave as one MGET per partition: the keys, and the partition's beat once. That is one
 * atomic step like a single read, and most of a read's cost, which lies in the client and not in the engine, is
 * shared, as is the judgement of the beat. Nothing waits for company: what was asked in the same run of the
 * microtask queue goes together.
 */
import type { Clock } from '../clock.ts';
import type { FarTier } from './far-tier.ts';
import { valueKey } from './partition.ts';
import type { PartitionState, Verdict } from './partition-state.ts';

/** What the beat says of the entries that came with it. */
export interface Proof {
  readonly verdict: Verdict;
  /** 12 hex digits; '' without a beat. */
  readonly epoch: string;
  /** How far the feed is applied, 16 hex digits; '' without a beat. */
  readonly applied: string;
  /** Definitions that are void, see voids.ts. */
  readonly voids: string;
  /**
   * A replica's reply. It may lack an invalidation of which this process has heard already, so it isn't kept near:
   * nothing would remove it there.
   */
  readonly replica: boolean;
  /** The engine's time, never too late. */
  readonly engineNowMs: number;
}

/** `proof` is undefined when the tier couldn't be asked. */
export type FarAnswer = (text: string | null, proof: Proof | undefined) => void;

class Batch {
  readonly keys: string[] = [];
  readonly answers: FarAnswer[] = [];
}

/** More keys in one command would hold up other clients of the engine. */
const maxKeys = 128;

export class ReadBatcher {
  readonly #far: FarTier;
  readonly #clock: Clock;
  readonly #open = new Map<PartitionState, Batch>();

  constructor(far: FarTier, clock: Clock) {
    this.#far = far;
    this.#clock = clock;
  }

  /** From a replica where the tier was told to read there: what one gives may be behind, and its proof says so. */
  read(partition: PartitionState, fullKey: string, answer: FarAnswer): void {
    let batch = this.#open.get(partition);
    if (batch === undefined) {
      batch = new Batch();
      this.#open.set(partition, batch);
      // Twice: readers that one reply woke ask again a few microtasks apart.
      queueMicrotask(() => queueMicrotask(() => this.#close(partition)));
    }
    batch.keys.push(valueKey(partition.keys, fullKey));
    batch.answers.push(answer);
    if (batch.keys.length === maxKeys) this.#close(partition);
  }

  /** Rejects when the tier can't be asked. */
  async readPrimary(
    partition: PartitionState,
    fullKey: string,
  ): Promise<{ readonly text: string | null; readonly proof: Proof }> {
    const keys = [valueKey(partition.keys, fullKey), partition.keys.beat];
    const [text = null, beat = null] = await this.#far.read(partition, keys);
    return { text, proof: this.judge(partition, beat) };
  }

  judge(partition: PartitionState, beat: string | null, replica = false): Proof {
    const nowMs = this.#clock.nowMs();
    return {
      verdict: partition.judge(beat, nowMs),
      epoch: beat === null ? '' : beat.slice(0, 12),
      applied: beat === null ? '' : beat.slice(24, 40),
      voids: beat === null ? '' : beat.slice(40),
      replica,
      engineNowMs: partition.clock.engineNowMs(nowMs),
    };
  }

  #close(partition: PartitionState): void {
    const batch = this.#open.get(partition);
    if (batch === undefined) return;
    this.#open.delete(partition);
    const { keys, answers } = batch;
    keys.push(partition.keys.beat);
    const { reply: replies, replica } = this.#far.readAnywhere(partition, keys);
    replies.then(
      (reply) => {
        const proof = this.judge(partition, reply[answers.length] ?? null, replica);
        for (let at = 0; at < answers.length; at += 1) answers[at]!(reply[at] ?? null, proof);
      },
      () => {
        for (const answer of answers) answer(null, undefined);
      },
    );
  }
}
