/**
 * (pure) Looks at a plan before it is executed, knowing nothing of how it was made. A violation stops the pass.
 *
 * - I1 A member is promoted only when no other member of its shard runs as primary, or is demoted earlier in the plan; and
 *   without a decision in this plan, which has its fence, only when the one it follows is not silent.
 * - I2 A promotion follows the decision for that member, made in this plan or written down before.
 * - I3 A decision or election carries a fence for the node that loses the role.
 * - I4 No member is started as an empty primary while another member of its shard holds keys.
 * - I5 At most one change of primary per shard in one plan.
 * - I6 No member comes to listen on an address that another one, or the router for them, listens on after the plan.
 * - I7 Only a member of this group is named.
 * - I8 Nodes are removed only from a group that is being deleted, or when they are replicas that were asked to go, or
 *   of a shard that was.
 * - I9 A role is handed over only to a replica that follows its holder and is in sync.
 * - I10 A primary is stopped only when no other member of its shard stays.
 * - I11 At most one member of a shard is stopped in one plan.
 * - I12 A snapshot is loaded only by a primary, while its group is made, and it is the one that was asked for.
 * - I17 A node elsewhere is followed, and left, only while the group takes on its data, and only by its primary; it is
 *   left only when that was asked for.
 * - I18 A process is killed only while it hangs, and only the run that does.
 * - I19 Only the decided primary of a shard is let take writes again.
 * - I13 to I16 are about shards and slots: `check-shard-plan.ts`.
 */
import type { NodeObservation } from '@larder/fleet/host';
import { hangs } from '../node/hang.ts';
import { checkShardPlan, type Violation } from './check-shard-plan.ts';
import { membersOf, type NodeGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { Step } from './step.ts';

export function checkPlan(
  steps: readonly Step[],
  group: ReplicationGroup,
  observations: ReadonlyMap<string, NodeObservation>,
): Violation[] {
  const violations: Violation[] = [];
  const report = (invariant: Violation['invariant'], detail: string) =>
    violations.push({ invariant, detail });
  const engineOf = (member: string) => observations.get(nodeIdOf({ id: member }))?.engine;
  const shardOf = (member: string) =>
    group.nodeGroups.find(({ members }) => members.some(({ id }) => id === member));
  const known = new Set(membersOf(group).map(({ id }) => id));

  for (const [index, step] of steps.entries()) {
    const earlier = steps.slice(0, index);
    for (const named of membersNamed(step)) {
      if (!known.has(named)) report('I7', `${step.kind} names ${named}, which is not in ${group.id}`);
    }
    switch (step.kind) {
      case 'promote': {
        const shard = shardOf(step.member);
        for (const other of otherMembers(shard, step.member)) {
          const demoted = earlier.some((each) => each.kind === 'replicate' && each.member === other);
          if (engineOf(other)?.info.replication.role === 'primary' && !demoted) {
            report('I1', `${step.member} would be a primary beside ${other}`);
          }
        }
        const now = earlier.some((each) => each.kind === 'decide-primary' && each.member === step.member);
        const decided = now || shard?.primary === step.member;
        const { address } = engineOf(step.member)?.info.replication.primary ?? {};
        const followed = shard?.members.find((each) => each.address === address);
        if (!now && followed !== undefined && mayRuleUnseen(observations.get(nodeIdOf(followed)))) {
          report(
            'I1',
            `${step.member} would be a primary beside ${followed.id}, which may run and does not answer`,
          );
        }
        if (!decided) report('I2', `${step.member} is promoted without a decision`);
        break;
      }
      case 'decide-primary':
      case 'elect': {
        const lost = shardOf(step.member)?.primary;
        if (lost === undefined) break;
        const process = observations.get(nodeIdOf({ id: lost }))?.process.kind;
        if (step.fence.kind === 'engine-vote') {
          if (group.intent.clusterEnabled) break;
          report('I3', `without cluster mode nobody votes on ${lost}`);
        } else if (process === 'running' || process === 'unreachable') {
          report('I3', `${lost} may run while ${step.member} is to follow it`);
        }
        break;
      }
      case 'start-node': {
        const shard = shardOf(step.member);
        if (step.snapshot !== undefined) {
          const asked =
            group.status === 'creating' &&
            shard?.formed === false &&
            step.snapshot === group.intent.restoreFrom;
          const isPrimary = step.replicaOf === undefined && shard?.primary === step.member;
          if (!asked || !isPrimary) report('I12', `${step.member} would load ${step.snapshot}`);
        }
        const startsAsPrimary = step.replicaOf === undefined && shard?.primary === step.member;
        if (!startsAsPrimary) break;
        for (const other of otherMembers(shard, step.member)) {
          if ((engineOf(other)?.info.keys ?? 0) > 0) {
            report('I4', `${step.member} would start empty while ${other} holds keys`);
          }
        }
        break;
      }
      case 'remove-node':
      case 'forget-member': {
        const shard = shardOf(step.member);
        const leaving = shard?.members.find(({ id }) => id === step.member)?.status === 'deleting';
        const goes = shard?.resharding?.leaving === true || shard?.primary !== step.member;
        if (group.status === 'deleting' || (leaving && goes)) break;
        report('I8', `${step.kind} of ${step.member} in a group that is ${group.status}`);
        break;
      }
      case 'retain-primary':
      case 'forget-group':
        if (group.status !== 'deleting') report('I8', `${step.kind} in a group that is ${group.status}`);
        break;
      case 'switch-over': {
        const replication = engineOf(step.member)?.info.replication;
        const ruler = shardOf(step.member)?.members.find(({ id }) => id === step.previous);
        const inSync =
          replication?.primary?.linkUp === true && replication.primary.address === ruler?.address;
        if (!inSync) report('I9', `${step.member} is not in sync with ${step.previous}`);
        break;
      }
      case 'follow-source':
      case 'leave-source':
      case 'end-migration': {
        if (group.status !== 'migrating' || group.migration === undefined) {
          report('I17', `${step.kind} in a group that is ${group.status}`);
        }
        if (step.kind !== 'follow-source' && group.migration?.completing === undefined) {
          report('I17', `${step.kind} was not asked for`);
        }
        if (step.kind === 'end-migration') break;
        const isPrimary =
          shardOf(step.member)?.primary === step.member ||
          earlier.some((each) => each.kind === 'decide-primary' && each.member === step.member);
        if (!isPrimary) report('I17', `${step.kind} of ${step.member}, which is not the primary`);
        break;
      }
      case 'kill-node': {
        const process = observations.get(nodeIdOf({ id: step.member }))?.process;
        if (!hangs(process, step.incarnation)) report('I18', `${step.member} does not hang`);
        break;
      }
      case 'lift-fence':
        if (shardOf(step.member)?.primary !== step.member) {
          report('I19', `${step.member} is not the primary and would take writes`);
        }
        break;
      case 'stop-node': {
        const shard = shardOf(step.member);
        const staying = shard?.members.filter(
          ({ id, status }) => id !== step.member && status !== 'deleting',
        );
        if (shard?.primary === step.member && (staying?.length ?? 0) > 0) {
          report('I10', `${step.member} is a primary with ${staying?.length} others beside it`);
        }
        break;
      }
    }
  }

  for (const { id, members } of group.nodeGroups) {
    const changes = steps.filter(
      (step) =>
        (step.kind === 'decide-primary' || step.kind === 'elect' || step.kind === 'switch-over') &&
        members.some((member) => member.id === step.member),
    );
    const stopped = steps.filter(
      (step) => step.kind === 'stop-node' && members.some((member) => member.id === step.member),
    );
    if (stopped.length > 1)
      report('I11', `${stopped.length} members of shard ${id} would be stopped at once`);
    if (changes.length > 1) report('I5', `shard ${id} would change its primary ${changes.length} times`);
  }
  violations.push(...checkShardPlan(steps, group, observations));
  const takes = (holder: string, address: string) =>
    holder === theRouter ||
    (engineOf(holder)?.boundAddresses.includes(address) !== true &&
      steps.some((step) =>
        step.kind === 'listen'
          ? step.member === holder && step.addresses.includes(address)
          : step.kind === 'start-node' && step.member === holder && step.endpointAddresses.includes(address),
      ));
  for (const [address, holders] of holdersAfter(steps, group, observations)) {
    if (holders.length > 1 && holders.some((holder) => takes(holder, address)))
      report('I6', `${address} would be listened on by ${holders.join(' and ')}`);
  }
  return violations;
}

function mayRuleUnseen(seen: NodeObservation | undefined): boolean {
  if (seen === undefined || seen.engine !== undefined) return false;
  return seen.process.kind === 'running' || seen.process.kind === 'unreachable';
}

function membersNamed(step: Step): string[] {
  const named: string[] = [];
  if ('member' in step) named.push(step.member);
  if ('primary' in step) named.push(step.primary);
  if ('peer' in step) named.push(step.peer);
  if ('target' in step) named.push(step.target);
  if ('from' in step) named.push(step.from);
  if ('moves' in step) named.push(...step.moves.map(({ target }) => target));
  if ('replicaOf' in step && step.replicaOf !== undefined) named.push(step.replicaOf);
  return named;
}

function otherMembers(shard: NodeGroup | undefined, member: string): string[] {
  return shard?.members.map(({ id }) => id).filter((id) => id !== member) ?? [];
}

/** Among members, as a holder of addresses. */
const theRouter = 'the router';

function holdersAfter(
  steps: readonly Step[],
  group: ReplicationGroup,
  observations: ReadonlyMap<string, NodeObservation>,
): Map<string, string[]> {
  const bound = new Map<string, readonly string[]>();
  for (const { id } of membersOf(group)) {
    bound.set(id, observations.get(nodeIdOf({ id }))?.engine?.boundAddresses ?? []);
  }
  for (const step of steps) {
    if (step.kind === 'listen') bound.set(step.member, step.addresses);
    if (step.kind === 'start-node') bound.set(step.member, step.endpointAddresses);
  }
  for (const step of steps) {
    // Before engines that the router stands before it listens on other ports than they do.
    const spread = step.kind === 'route' ? step.routes.filter(({ kind }) => kind === 'spread') : [];
    if (spread.length > 0)
      bound.set(
        theRouter,
        spread.map(({ listen }) => listen.address),
      );
  }
  const holders = new Map<string, string[]>();
  for (const [member, addresses] of bound) {
    for (const address of addresses) holders.set(address, [...(holders.get(address) ?? []), member]);
  }
  return holders;
}
