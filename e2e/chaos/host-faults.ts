/** Faults of whole hosts, and of what runs on them beside the engines. A client beside the primary looks on. */

import { nowMs } from '../../bench/monotonic.ts';
import { endProcess } from '../../testing/engine-processes.ts';
import type { TestHost } from '../../testing/fleet.ts';
import { insideWriter } from '../../testing/fleet-writer.ts';
import { waitFor } from '../../testing/wait-for.ts';
import type { FleetStage } from './fleet-stage.ts';
import type { Fault } from './stage.ts';

/** What is done to the primary's host, and how it is taken back. */
export interface HostFault {
  begin(host: TestHost, stage: FleetStage): Promise<void> | void;
  end(host: TestHost, stage: FleetStage): Promise<void> | void;
}

export function hostFault({ begin, end }: HostFault): Fault<FleetStage> {
  return {
    async inject(stage, primary) {
      const host = stage.hostOf(primary);
      const beside = insideWriter(host, primary.host, primary.port, stage.tags[0]!);
      await waitFor(
        () => beside.answers.length,
        (count) => count > 20,
        { what: 'a client beside the primary' },
      ).catch((error: Error) => {
        beside.stop();
        throw error;
      });
      const atMs = nowMs();
      await begin(host, stage);
      const acked = () => beside.answers.filter(({ text }) => text.startsWith('OK')).map((each) => each.atMs);
      return {
        atMs,
        besideAckedMs: acked,
        async saw() {
          // Gone with the primary they were given to: the price of asynchronous replication, and bounded by the lease.
          return { besideAckedAfterFault: acked().filter((each) => each > atMs).length };
        },
        async undo() {
          beside.stop();
          await end(host, stage);
        },
      };
    },
  };
}

/** Its cable is out: nothing goes in or out. */
export const hostLost: Fault<FleetStage> = hostFault({
  begin: (host) => host.cut(),
  end: (host) => host.heal(),
});

/** It can't answer its controllers, but clients and the other hosts. */
export const hostIsolated: Fault<FleetStage> = hostFault({
  begin: (host, { fleet }) => host.drop(fleet.network.address),
  end: (host, { fleet }) => host.undrop(fleet.network.address),
});

export const agentKilled: Fault<FleetStage> = hostFault({
  begin: (host) => host.killAgent(),
  end: (host) => host.startAgent(),
});

export const agentStopped: Fault<FleetStage> = hostFault({
  begin: (host) => endProcess(host.pid, 'SIGSTOP'),
  end: (host) => endProcess(host.pid, 'SIGCONT'),
});

/** Every controller is gone, for longer than a lease. */
export const controllersGone: Fault<FleetStage> = hostFault({
  begin: (_, { larder }) => larder.kill(),
  end: (_, { larder }) => larder.start(),
});
