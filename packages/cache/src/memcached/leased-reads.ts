/** Reads of the shared tier on memcached. What is asked in one go leaves in one packet per node, behind its beat. */
import type { PartitionState } from '../far/partition-state.ts';
import type { FarAnswer, Proof } from '../far/read-batcher.ts';
import type { SharedReads } from '../shared-tier.ts';
import { parseBeat } from './beat.ts';
import { type LeasedNode, noProof } from './leased-node.ts';
import { getCommand } from './meta-command.ts';
import type { MetaReply } from './meta-parser.ts';

interface Batch {
  readonly keys: string[];
  readonly answers: FarAnswer[];
}

const maxKeys = 128;

export class LeasedReads implements SharedReads {
  readonly #nodeOf: (partition: PartitionState) => LeasedNode | undefined;
  readonly #open = new Map<PartitionState, Batch>();

  constructor(nodeOf: (partition: PartitionState) => LeasedNode | undefined) {
    this.#nodeOf = nodeOf;
  }

  read(partition: PartitionState, fullKey: string, answer: FarAnswer): void {
    let batch = this.#open.get(partition);
    if (batch === undefined) {
      batch = { keys: [], answers: [] };
      this.#open.set(partition, batch);
      // Twice: readers that one reply woke ask again a few microtasks apart.
      queueMicrotask(() => queueMicrotask(() => this.#close(partition)));
    }
    batch.keys.push(fullKey);
    batch.answers.push(answer);
    if (batch.keys.length === maxKeys) this.#close(partition);
  }

  async readPrimary(
    partition: PartitionState,
    fullKey: string,
  ): Promise<{ readonly text: string | null; readonly proof: Proof }> {
    const node = this.#nodeOf(partition);
    if (node === undefined) throw new Error('The node has left the list.');
    const { beat, replies } = await node.readBehindBeat([getCommand(node.keyOf(fullKey))]);
    return { text: entryText(replies[0]!), proof: node.proofOf(beat) };
  }

  judge(partition: PartitionState, beat: string | null): Proof {
    const node = this.#nodeOf(partition);
    const parsed = beat === null ? undefined : parseBeat(beat);
    return node?.proofOf(parsed) ?? noProof;
  }

  #close(partition: PartitionState): void {
    const batch = this.#open.get(partition);
    if (batch === undefined) return;
    this.#open.delete(partition);
    const { keys, answers } = batch;
    const node = this.#nodeOf(partition);
    if (node === undefined) {
      for (const answer of answers) answer(null, undefined);
      return;
    }
    node.readBehindBeat(keys.map((fullKey) => getCommand(node.keyOf(fullKey)))).then(
      ({ beat, replies }) => {
        const proof = node.proofOf(beat);
        for (const [at, answer] of answers.entries()) answer(entryText(replies[at]!), proof);
      },
      () => {
        for (const answer of answers) answer(null, undefined);
      },
    );
  }
}

/** Null: nothing there, or only somebody's lease. */
export function entryText({ value }: MetaReply): string | null {
  return value === undefined || value.length === 0 ? null : value.toString('utf8');
}
