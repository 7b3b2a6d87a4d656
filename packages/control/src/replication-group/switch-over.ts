/**
 * Hands the role of a living primary to a replica in sync, without losing an acknowledged write, and without refusing
 * one to who comes by the primary endpoint: it is held for some milliseconds, and ends with its connection.
 *
 * The order is the point:
 * 1. the old primary holds writes (CLIENT PAUSE, which also ends by itself);
 * 2. the replica has everything: both are at the same offset;
 * 3. the old primary gives the endpoint up and cuts off who came by it, so that nobody of them is there to be refused
 *    what follows. Who connects again is refused the connection, and tries again;
 * 4. the old primary is fenced by a setting that outlives the pause: it acknowledges nothing any more, even if we
 *    die now. It comes after 2 because writes are then refused, not held;
 * 5. the decision is written down under the next epoch;
 * 6. the new primary takes writes, then the endpoint;
 * 7. the old one follows it;
 * 8. the fence is taken away, only once it does: a replica takes no writes anyway.
 * Where the router stands before the engines no endpoint is theirs to move: the plan that follows tells the router.
 *
 * A service that dies between two steps leaves writes held or refused, or the endpoint with nobody, and nothing lost;
 * the next pass begins anew (planInterruptedSwitch), or goes on from the decision.
 */
import { writeFence } from '@larder/fleet/host';
import { isName } from '../placement/endpoint-names.ts';
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
  const { port } = group.intent;
  const byOwnAddress = ['LADDR', `${old.address}:${port}`];
  const { primaryAddress } = group.nodeGroups.find(({ id }) => id === step.nodeGroup)!;
  const seen = await host.observe([oldNode, newNode]);
  const ports = seen.get(newNode)?.started?.ports;
  const boundBy = (nodeId: string) => seen.get(nodeId)?.engine?.boundAddresses ?? [];
  const moved = boundBy(oldNode).filter((address) => address === primaryAddress);
  const kept = boundBy(oldNode).filter((address) => !moved.includes(address));

  await host.command(oldNode, order, [['CLIENT', 'PAUSE', String(pauseMs), 'WRITE']]);
  let before: string;
  try {
    await caughtUp();
    if (moved.length > 0) {
      await host.listen(oldNode, order, { addresses: kept, dropped: moved, port, lingering: true });
    }
    [[, before]] = (await host.command(oldNode, order, [
      ['CONFIG', 'GET', 'min-replicas-to-write'],
      ['CONFIG', 'SET', 'min-replicas-to-write', writeFence],
    ])) as [[string, string]];
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
  if (moved.length > 0) {
    await host.listen(newNode, newOrder, {
      addresses: [...new Set([...boundBy(newNode), ...moved])],
      dropped: [],
      port,
    });
  }
  await host.command(oldNode, newOrder, [
    ['REPLICAOF', heir.address, String(replicationPort(ports ?? wanted(step.member)))],
  ]);
  await host.command(oldNode, newOrder, [
    // Who came by the node's own address, as clients of Sentinel do, would stay and be refused every write. By a name
    // all come there, some through the router.
    ['CLIENT', 'KILL', 'TYPE', 'normal', ...(isName(primaryAddress!) ? [] : byOwnAddress), 'SKIPME', 'yes'],
    ['CONFIG', 'SET', 'min-replicas-to-write', before === writeFence ? '0' : before],
    ['CLIENT', 'UNPAUSE'],
  ]);
  // The other host has taken it: this one need not refuse who still comes here.
  if (moved.length > 0 && old.host !== heir.host) {
    await host.listen(oldNode, newOrder, { addresses: kept, dropped: moved, port });
  }
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
