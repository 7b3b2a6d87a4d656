/** (pure) When a process that hangs is ended: not while it holds what nobody else has, but for a long time. */
import { onlyCopyLimitMs } from '@larder/fleet/hang/limits';
import type { Hang, Incarnation, NodeProcess } from '@larder/fleet/host';

/** Who else has what a process holds. */
export type Copies = 'elsewhere' | 'none';

export function mayEnd({ how, silentMs }: Hang, copies: Copies): boolean {
  return copies === 'elsewhere' || (how !== 'spinning' && silentMs >= onlyCopyLimitMs);
}

/** Whether it is this run of it that hangs. */
export function hangs(process: NodeProcess | undefined, { pid, startTicks }: Incarnation): boolean {
  return (
    process?.kind === 'running' &&
    process.hang !== undefined &&
    process.incarnation.pid === pid &&
    process.incarnation.startTicks === startTicks
  );
}
