/**
 * Deliberate faults, each of which the simulation must find. They change what goes over the seams, what is seen, a plan,
 * a command, so the control plane itself stays as it is.
 */
import type { PlanInput } from '@larder/control/replication-group/seen-member';
import type { Plan } from '@larder/control/replication-group/step';
import { type Host, type NodeObservation, writeFence } from '@larder/fleet/host';
import type { Mutation } from './run.ts';
import type { FaultKind } from './schedule.ts';

export interface Mutant {
  readonly name: string;
  /** It must be found within so many schedules. */
  readonly withinSchedules: number;
  /** Faults that it takes to find it; else of every kind. */
  readonly focus?: readonly FaultKind[];
  /** Made anew for each run. */
  create(): Mutation;
}

const late: readonly FaultKind[] = [
  'messages late',
  'messages late',
  'machine cut off twice',
  'handover',
  'primary crash',
  'primary stop',
];

export const mutants: readonly Mutant[] = [
  {
    name: 'a primary that does not answer is taken for dead',
    withinSchedules: 300,
    create: () => ({ unchecked: true, see: (input) => seeing(input, takenForDead(input, isPrimary(input))) }),
  },
  {
    name: 'a replica that does not answer is taken for dead',
    withinSchedules: 3_000,
    create: () => ({
      unchecked: true,
      see: (input) =>
        seeing(
          input,
          takenForDead(input, (id) => !isPrimary(input)(id)),
        ),
    }),
  },
  {
    name: 'a node is promoted before it is written down',
    withinSchedules: 300,
    create: () => ({
      unchecked: true,
      plan: (_, planned) => ({
        ...planned,
        steps: [...planned.steps].sort((a, b) => Number(b.kind === 'promote') - Number(a.kind === 'promote')),
      }),
    }),
  },
  {
    name: 'a decision is reported before it is on disk',
    withinSchedules: 300,
    create: () => ({ answersBeforeWriting: true }),
  },
  {
    name: 'a crashed primary starts again as the primary',
    withinSchedules: 300,
    create: () => ({ unchecked: true, plan: startingInPlace }),
  },
  {
    name: 'the successor is the one that has the least',
    withinSchedules: 1_000,
    create: () => ({
      see: (input) =>
        seeing(input, (seen) =>
          withReplication(seen, ({ offset }) => ({ offset: Math.max(0, 100_000 - offset) })),
        ),
    }),
  },
  {
    name: 'a copy of another history passes for one of the primary',
    withinSchedules: 5_000,
    create: () => ({
      see: (input) =>
        seeing(input, (seen) => {
          const { lineage } = input.group.nodeGroups[0]!;
          return withReplication(seen, ({ role, replicationId }) => ({
            replicationId: role === 'replica' ? (lineage ?? replicationId) : replicationId,
          }));
        }),
    }),
  },
  {
    name: 'a switchover does not wait for the offsets',
    withinSchedules: 2_000,
    create: () => ({ host: hurried }),
  },
  {
    name: 'a switchover does not fence the old primary',
    withinSchedules: 6_000,
    focus: ['handover cut off'],
    create: () => ({ host: (host) => without(host, (words) => words.includes(writeFence)) }),
  },
  {
    name: 'a switchover does not hold writes',
    withinSchedules: 4_000,
    create: () => ({ host: (host) => without(host, (words) => words[1] === 'PAUSE') }),
  },
  {
    name: 'a deposed primary is not told to follow',
    withinSchedules: 500,
    create: () => ({
      unchecked: true,
      plan: (_, planned) => ({ ...planned, steps: planned.steps.filter(({ kind }) => kind !== 'replicate') }),
    }),
  },
  {
    name: 'hosts take orders of the past',
    withinSchedules: 10_000,
    focus: late,
    create: () => ({ admitsAnyEpoch: true, takesOvertaken: true }),
  },
  {
    name: 'a host that lost its lease takes no writes away',
    withinSchedules: 500,
    create: () => ({ neverFences: true }),
  },
  {
    name: 'a lease ends later for its holder than for its grantor',
    withinSchedules: 1_000,
    create: () => ({ terms: { fenceAheadMs: -1_500 } }),
  },
  {
    name: 'a service that begins forgets the leases that were granted',
    withinSchedules: 8_000,
    create: () => ({ forgetsGrants: true }),
  },
  {
    name: 'a host without a lease takes orders',
    withinSchedules: 2_000,
    create: () => ({ takesAnyOrder: true }),
  },
  {
    name: 'a host consents only when its own lease has ended',
    withinSchedules: 8_000,
    create: () => ({ consentsLate: true }),
  },
];

type Change = (seen: NodeObservation) => NodeObservation;
type Replication = NonNullable<NodeObservation['engine']>['info']['replication'];

function seeing(input: PlanInput, change: Change): PlanInput {
  return {
    ...input,
    observations: new Map([...input.observations].map(([id, seen]) => [id, change(seen)])),
  };
}

function isPrimary({ group }: PlanInput): (nodeId: string) => boolean {
  const primaries = new Set(group.nodeGroups.map(({ primary }) => primary));
  return (nodeId) => primaries.has(nodeId.slice(0, nodeId.lastIndexOf('.')));
}

function takenForDead(_: PlanInput, whom: (nodeId: string) => boolean): Change {
  return (seen) => {
    const silent = seen.process.kind === 'unreachable' || (seen.process.kind === 'running' && !seen.engine);
    if (!silent || !whom(seen.nodeId)) return seen;
    return { ...seen, process: { kind: 'dead', incarnation: { pid: 0, startTicks: 0 }, how: 'gone' } };
  };
}

function withReplication(
  seen: NodeObservation,
  change: (is: Replication) => Partial<Replication>,
): NodeObservation {
  const { engine } = seen;
  if (engine === undefined) return seen;
  const replication = { ...engine.info.replication, ...change(engine.info.replication) };
  return { ...seen, engine: { ...engine, info: { ...engine.info, replication } } };
}

/** As most tools do. */
function startingInPlace({ group, observations }: PlanInput, planned: Plan): Plan {
  const [nodeGroup] = group.nodeGroups;
  const process = observations.get(`${nodeGroup!.primary}.0001`)?.process;
  if (process?.kind !== 'dead' || process.how === 'exiting') return planned;
  return {
    ...planned,
    converged: false,
    steps: [
      {
        kind: 'start-node',
        member: nodeGroup!.primary,
        endpointAddresses: [nodeGroup!.primaryAddress!],
        because: 'it crashed',
      },
    ],
  };
}

/** Commands for which `drops` are not sent; the executor does not notice. */
function without(host: Host, drops: (words: readonly string[]) => boolean): Host {
  return {
    ...host,
    command: (nodeId, order, commands) => {
      const left = commands.filter((words) => !drops(words));
      return left.length === 0 ? Promise.resolve(['OK']) : host.command(nodeId, order, left);
    },
  };
}

/** While writes are held, everybody seems to be as far as everybody else. */
function hurried(host: Host): Host {
  let holding = false;
  return {
    ...host,
    async command(nodeId, order, commands) {
      const replies = await host.command(nodeId, order, commands);
      if (commands.some((words) => words[1] === 'PAUSE')) holding = true;
      if (commands.some((words) => words[0] === 'CONFIG')) holding = false;
      return replies;
    },
    async observe(nodeIds) {
      const seen = await host.observe(nodeIds);
      if (!holding) return seen;
      return new Map([...seen].map(([id, each]) => [id, withReplication(each, () => ({ offset: 1 }))]));
    },
  };
}
