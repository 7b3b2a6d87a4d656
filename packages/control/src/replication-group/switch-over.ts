/**
 * Hands the role of a living primary to a replica in sync, without losing an acknowledged write: writes are held
 * for some milliseconds, not refused.
 *
 * The order is the point:
 * 1. the old primary holds writes (CLIENT PAUSE, which also ends by itself);
 * 2. the replica has everything: both are at the same offset;
 * 3. the old primary is fenced by a setting that outlives the pause: it acknowledges nothing any more, even if we
 *    die now. It comes after 2 because writes are then refused, not held;
 * 4. the decision is written down under the next epoch;
 * 5. roles are swapped, the old one first held, then following;
 * 6. the fence is taken away: a replica takes no writes anyway.
 * Where clients find the primary is moved by the plan that follows.
 *
 * A service that dies between two steps leaves writes held or refused and nothing lost; the next pass begins anew
 * (planInterruptedSwitch), or goes on from the decision.
 */
import { writeFence } from '@larder/fleet/host';
import type { ExecuteDeps } from './execute.ts';
import { memberOfGroup, nodeIdOf, type ReplicationGroup, replicationPort } from './replication-group.ts';
import type { Step } from './step.ts';

const pauseMs = 3_000;
/** How long the replica may take for what is left; well below the pause. */
const catchUpLimitMs = 1_000;
const pollMs = 1;

export class ReplicaFellBehind extends Error {
  override name = 'ReplicaFellBehind';
}

/**
 * @param decide writes the decision down; called once, between the fence and the swap.
 * @returns what `decide` returned. @throws ReplicaFellBehind: nothing was changed, writes go on.
 */
export async function switchOver(
  { host, wanted, clock }: Pick<ExecuteDeps, 'host' | 'wanted' | 'clock'>,
  group: ReplicationGroup,
  step: Step & { kind: 'switch-over' },
  decide: () => Promise<ReplicationGroup>,
): Promise<ReplicationGroup> {
  const oldNode = nodeIdOf({ id: step.previous });
  const newNode = nodeIdOf({ id: step.member });
  const order = { group: group.id, epoch: group.epoch };
  const old = memberOfGroup(group, step.previous);
  const heir = memberOfGroup(group, step.member);
  const ports = (await host.observe([newNode])).get(newNode)?.started?.ports;

  await host.command(oldNode, order, [['CLIENT', 'PAUSE', String(pauseMs), 'WRITE']]);
  let before: string;
  try {
    await caughtUp();
    [[, before]] = (await host.command(oldNode, order, [['CONFIG', 'GET', 'min-replicas-to-write']])) as [
      [string, string],
    ];
    await host.command(oldNode, order, [['CONFIG', 'SET', 'min-replicas-to-write', writeFence]]);
  } catch (error) {
    await host.command(oldNode, order, [['CLIENT', 'UNPAUSE']]);
    throw error;
  }
  const decided = await decide();
  const newOrder = { group: decided.id, epoch: decided.epoch };
  // An earlier handover, from it, that was cut off may still hold writes.
  await host.command(newNode, newOrder, [
    ['REPLICAOF', 'NO', 'ONE'],
    ['CLIENT', 'UNPAUSE'],
  ]);
  await host.command(oldNode, newOrder, [
    ['REPLICAOF', heir.address, String(replicationPort(ports ?? wanted(step.member)))],
    ['CONFIG', 'SET', 'min-replicas-to-write', before === writeFence ? '0' : before],
    ['CLIENT', 'UNPAUSE'],
    // Who came by an endpoint is cut off when that moves. Who came by the node's own address, as clients of Sentinel do,
    // would stay and be refused every write.
    ['CLIENT', 'KILL', 'TYPE', 'normal', 'LADDR', `${old.address}:${group.intent.port}`, 'SKIPME', 'yes'],
  ]);
  return decided;

  async function caughtUp(): Promise<void> {
    const deadline = clock.nowMs() + catchUpLimitMs;
    for (;;) {
      const seen = await host.observe([oldNode, newNode]);
      const from = seen.get(oldNode)?.engine?.info.replication;
      const to = seen.get(newNode)?.engine?.info.replication;
      if (from !== undefined && to !== undefined && to.offset >= from.offset && to.primary?.linkUp === true)
        return;
      if (clock.nowMs() > deadline) {
        throw new ReplicaFellBehind(
          `${step.member} did not catch up with ${step.previous} in ${catchUpLimitMs} ms.`,
        );
      }
      await clock.sleep(pollMs);
    }
  }
}
