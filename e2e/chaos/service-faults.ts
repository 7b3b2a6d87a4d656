/** Faults of the service, and what is asked of it while clients write. */
import { ModifyReplicationGroupCommand, TestFailoverCommand } from '@aws-sdk/client-elasticache';
import { endProcess } from '../../testing/engine-processes.ts';
import type { LarderStage } from './larder-stage.ts';
import { type Fault, nothingToUndo } from './stage.ts';

/** The service and the primary die together; the service comes back at once, as by whoever supervises it. */
export const serviceAndPrimaryKilled: Fault<LarderStage> = {
  async inject({ larder }, primary) {
    await larder.kill();
    endProcess(primary.pid()!);
    await larder.start();
    return nothingToUndo;
  },
};

/** The service stays away until the engines have healed themselves. */
export const serviceGonePrimaryKilled: Fault<LarderStage> = {
  async inject({ larder }, primary) {
    await larder.kill();
    endProcess(primary.pid()!);
    return { undo: () => larder.start() };
  },
};

export const serviceKilled: Fault<LarderStage> = {
  async inject({ larder }) {
    await larder.kill();
    return { undo: () => larder.start() };
  },
};

export const testFailover: Fault<LarderStage> = {
  async inject({ larder, groupId }) {
    await larder.client.send(new TestFailoverCommand({ ReplicationGroupId: groupId, NodeGroupId: '0001' }));
    return nothingToUndo;
  },
};

/** Switchover to a replica by name. */
export const promotion: Fault<LarderStage> = {
  async inject({ larder, groupId, nodes }, primary) {
    const heir = nodes.find(({ shard, name }) => shard === primary.shard && name !== primary.name)!;
    await larder.client.send(
      new ModifyReplicationGroupCommand({
        ReplicationGroupId: groupId,
        PrimaryClusterId: heir.name,
        ApplyImmediately: true,
      }),
    );
    return nothingToUndo;
  },
};
