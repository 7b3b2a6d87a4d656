/**
 * Far reads of one tick leave as one MGET per partition: the keys, and the partition's beat once. That is one
 * atomic step like a single read, and most of a read's cost, which lies in the client and not in the engine, is
 * shared. Nothing waits for company: what was asked in the same run of the microtask queue goes together.
 */
import type { FarTier } from './far-tier.ts';
import type { PartitionState } from './partition-state.ts';

/** Entry and beat, as one MGET gave them. */
export type FarReply = readonly [entry: string | null, beat: string | null];

interface Asked {
  readonly resolve: (reply: FarReply) => void;
  readonly reject: (error: unknown) => void;
}

class Batch {
  readonly keys: string[] = [];
  readonly asked: Asked[] = [];
}

/** More keys in one command would hold up other clients of the engine. */
const maxKeys = 128;

export class ReadBatcher {
  readonly #far: FarTier;
  readonly #open = new Map<PartitionState, Batch>();

  constructor(far: FarTier) {
    this.#far = far;
  }

  /** @param from 'primary' for a read that must not come from a replica. Rejects when the tier can't be asked. */
  read(partition: PartitionState, key: string, from: 'any' | 'primary'): Promise<FarReply> {
    if (from === 'primary') {
      return this.#far.read(partition, [key, partition.keys.beat]) as unknown as Promise<FarReply>;
    }
    return new Promise((resolve, reject) => {
      let batch = this.#open.get(partition);
      if (batch === undefined) {
        batch = new Batch();
        this.#open.set(partition, batch);
        // Twice: readers that one reply woke ask again a few microtasks apart.
        queueMicrotask(() => queueMicrotask(() => this.#close(partition)));
      }
      batch.keys.push(key);
      batch.asked.push({ resolve, reject });
      if (batch.keys.length === maxKeys) this.#close(partition);
    });
  }

  #close(partition: PartitionState): void {
    const batch = this.#open.get(partition);
    if (batch === undefined) return;
    this.#open.delete(partition);
    const { keys, asked } = batch;
    keys.push(partition.keys.beat);
    this.#far.readAnywhere(partition, keys).then(
      (reply) => {
        const beat = reply[asked.length] ?? null;
        for (const [index, { resolve }] of asked.entries()) resolve([reply[index] ?? null, beat]);
      },
      (error: unknown) => {
        for (const { reject } of asked) reject(error);
      },
    );
  }
}
