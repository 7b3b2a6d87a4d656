/**
 * The shared tier with entries of one shape in place of texts. Everything else, the tokens, the leases, what refuses a
 * fill and what proves a read, is the tier's own: to a definition above, a structure is an entry like any other.
 */
import { headerLength } from '../entry.ts';
import type { FarTier } from '../far/far-tier.ts';
import type { FillAnswer } from '../far/fill-protocol.ts';
import { bucketOffset, leaseKey, valueKey } from '../far/partition.ts';
import type { PartitionState } from '../far/partition-state.ts';
import type { FillSteps, SharedReads, SharedTier } from '../shared-tier.ts';
import { fillStructureScript, readStructureScript } from './scripts.ts';
import type { Shape } from './shapes.ts';

export interface Part {
  readonly beat: string | null;
  /** '' when there is no entry. */
  readonly header: string;
  /** What the command gave. */
  readonly reply: unknown;
}

/** A part of a structure with its header and the beat: one round trip, one version. Rejects when the tier is down. */
export async function readPart(
  far: FarTier,
  { partition, fullKey }: { readonly partition: PartitionState; readonly fullKey: string },
  { kind, command }: { readonly kind: Shape['kind']; readonly command: readonly string[] },
): Promise<Part> {
  const keys = [valueKey(partition.keys, fullKey), partition.keys.beat];
  const [beat, header, reply] = (await far.run(partition, readStructureScript, {
    keys,
    args: [kind, ...command],
  })) as [string, string, unknown?];
  return { beat: beat === '' ? null : beat, header, reply };
}

export function structureTier(far: FarTier, tier: SharedTier, shape: Shape): SharedTier {
  /** As the text of an ordinary entry. */
  const readWhole = async (partition: PartitionState, fullKey: string) => {
    const { beat, header, reply } = await readPart(
      far,
      { partition, fullKey },
      { kind: shape.kind, command: shape.whole },
    );
    // An absent thing is a header alone.
    const text = header === '' ? null : header[3] === 'n' ? header : header + shape.json(reply);
    return { beat, text };
  };
  const reads: SharedReads = {
    judge: (partition, beat) => tier.reads.judge(partition, beat),
    async readPrimary(partition, fullKey) {
      const { beat, text } = await readWhole(partition, fullKey);
      return { text, proof: tier.reads.judge(partition, beat) };
    },
    read(partition, fullKey, answer) {
      readWhole(partition, fullKey).then(
        ({ beat, text }) => answer(text, tier.reads.judge(partition, beat)),
        () => answer(null, undefined),
      );
    },
  };
  return {
    partitions: tier.partitions,
    readsReplicas: false,
    reads,
    scripts: tier.scripts,
    partitionOf: (hash) => tier.partitionOf(hash),
    partitionOfKey: (fullKey) => tier.partitionOfKey(fullKey),
    fills: (nextOwner, voidHash) => fillsOf(tier.fills(nextOwner, voidHash)),
    invalidate: (partition, fullKeys) => tier.invalidate(partition, fullKeys),
    ensureState: (partition, floor) => tier.ensureState(partition, floor),
    voidAll: (partition, floor) => tier.voidAll(partition, floor),
    isReady: (partition, needs) => tier.isReady(partition, needs),
    feedAgeMs: (partition) => tier.feedAgeMs(partition),
    feeds: (progress) => tier.feeds(progress),
    pulse: (partition) => tier.pulse(partition),
    close: () => tier.close(),
  };

  function fillsOf(inner: FillSteps): FillSteps {
    return {
      release: (place, token, error) => inner.release(place, token, error),
      hold: (place, token) => inner.hold(place, token),
      async acquire(place, { ignorePresent, watermark }) {
        // The tier's own script doesn't know this shape, so it never sees what is present: look, once the lease is held.
        const acquired = await inner.acquire(place, { ignorePresent: true, watermark });
        if (acquired.kind !== 'lease' || ignorePresent) return acquired;
        const { beat, text } = await readWhole(place.partition, place.fullKey);
        if (text === null || beat === null || !text.startsWith(acquired.token.epoch, 4)) return acquired;
        inner.release(place, acquired.token);
        return { kind: 'value', text, beat };
      },
      async fill({ partition, fullKey, hash }, token, { text, keepForMs }) {
        const { keys } = partition;
        const header = text.slice(0, headerLength);
        const elements = header[3] === 'n' ? [] : shape.elements(text.slice(headerLength));
        const answer = await far.run(partition, fillStructureScript, {
          keys: [valueKey(keys, fullKey), leaseKey(keys, fullKey), keys.state, keys.stamps],
          args: [
            ...[String(bucketOffset(hash)), token.epoch, token.watermark, token.generation, token.owner],
            ...[header, String(keepForMs), far.publish, keys.channel, `F ${fullKey}`, shape.kind],
            ...elements,
          ],
        });
        return answer as FillAnswer;
      },
    };
  }
}
