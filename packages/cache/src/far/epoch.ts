/** Begins a partition's state, or voids it, where no feed keeps it. */
import { hex12 } from '../entry.ts';
import { positionToHex, zeroPosition } from '../position.ts';
import type { FarTier } from './far-tier.ts';
import type { PartitionState } from './partition-state.ts';
import { initScript } from './scripts.ts';

export interface NewEpoch {
  /** The epoch that stands there now; '' for none. When another one does, nothing happens. */
  readonly found: string;
  /** Tokens below it fill nothing. */
  readonly floor: bigint;
  readonly source: string;
}

/** False: another epoch stands there than `found`. Rejects when the shared tier can't be asked. */
export async function beginEpoch(
  far: FarTier,
  partition: PartitionState,
  { found, floor, source }: NewEpoch,
): Promise<boolean> {
  const engineMs = (await far.sampleClock(partition)) ?? 1;
  const known = Math.max(...[found, partition.epoch].map((epoch) => Number.parseInt(epoch || '0', 16)));
  const { keys } = partition;
  const reply = (await far.run(partition, initScript, {
    keys: [keys.state, keys.stamps, keys.beat, keys.tagStamps],
    args: [
      found,
      hex12(Math.max(known + 1, engineMs)),
      zeroPosition,
      zeroPosition,
      positionToHex(floor),
      source,
      far.publish,
      keys.channel,
    ],
  })) as readonly string[];
  return reply[0] === 'ok';
}
