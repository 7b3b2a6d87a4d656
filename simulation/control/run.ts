/** Runs one schedule: makes its world, lets everything happen in virtual time, and checks after every step. */

import { membersOf, nodeIdOf, nodeSpec } from '@larder/control/replication-group/replication-group';
import { type LeaseTerms, leaseTerms } from '@larder/fleet/agent/lease';
import { randomOf } from '../random.ts';
import type { Engine } from './engine.ts';
import { EventQueue } from './event-queue.ts';
import { type FaultyWorld, heal, strike } from './faults.ts';
import { groupId, replicatedGroup, version, wanted } from './group.ts';
import { Invariants, type Violation } from './invariants.ts';
import { Ledger, type LedgerMutation } from './ledger.ts';
import { Machine, type MachineMutation } from './machine.ts';
import { Network, servicePlace } from './network.ts';
import type { RemoteMutation } from './remote-host.ts';
import type { Schedule } from './schedule.ts';
import { Service, type ServiceMutation } from './service.ts';
import { Trace } from './trace.ts';
import { Writer } from './writer.ts';

export interface Mutation extends MachineMutation, RemoteMutation, LedgerMutation, ServiceMutation {
  readonly terms?: Partial<LeaseTerms>;
}

export interface Outcome {
  readonly violations: readonly Violation[];
  readonly steps: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly story: readonly string[];
  readonly acknowledgedWrites: number;
  /** From the end of the faults until everything was as asked for. */
  readonly convergedAfterMs: number;
}

/** Within so long after the end of the faults everything is as asked for. */
const convergenceLimitMs = 30_000;
const mostSteps = 200_000;

export async function run(
  schedule: Schedule,
  options: { readonly mutation?: Mutation; readonly tellStory?: boolean } = {},
): Promise<Outcome> {
  const { setup } = schedule;
  const { mutation = {} } = options;
  const queue = new EventQueue();
  const random = randomOf(schedule.seed);
  const trace = new Trace(queue, options.tellStory === true);
  const network = new Network(random, setup.machines === 1);
  const ledger = new Ledger({ queue, random, mutation }, replicatedGroup(setup.members, setup.formed));
  const machines: Machine[] = [];
  let touched = false;
  let disturbedAtMs = 0;
  network.onDisturbance = () => {
    disturbedAtMs = queue.nowMs;
  };
  let histories = 0;
  let writes = 0;
  let engines: readonly Engine[] = [];
  const refresh = (): void => {
    engines = machines.flatMap((machine) => machine.engines.filter(({ condition }) => condition !== 'gone'));
  };
  const checks = new Invariants({ queue, machines, ledger, engines: () => engines });
  const machineOf = (nodeId: string): Machine =>
    machines[(Number(/-(\d+)\./.exec(nodeId)![1]) - 1) % machines.length]!;

  const world: FaultyWorld = {
    queue,
    random,
    network,
    trace,
    ledger,
    checks,
    mutation,
    machines,
    groupId,
    terms: { ...leaseTerms, ...mutation.terms },
    local: setup.machines === 1,
    watcher: checks,
    engines: () => engines,
    engineAt: (address) => engines.find(({ start }) => start.address === address),
    newHistory() {
      histories += 1;
      return String(histories).padStart(40, '0');
    },
    touched() {
      touched = true;
    },
    shardOf: (nodeId) =>
      ledger.group.nodeGroups.find(({ members }) => members.some((member) => nodeIdOf(member) === nodeId))
        ?.id ?? '0001',
    machineOf,
    changed(machine) {
      refresh();
      const delay = network.messageDelayMs(machine.index, servicePlace);
      if (delay !== undefined && machine.up) queue.after(delay, () => service.wake());
    },
    writesTakenAway: (machine) =>
      checks.writesTakenAway(
        machine,
        network.loses || machines.some(({ up }) => !up) ? 0 : queue.nowMs - disturbedAtMs,
      ),
    admitted: (machine, order, highest) => checks.admitted(machine, order, highest),
    get service() {
      return service;
    },
  };
  for (let index = 0; index < setup.machines; index += 1) {
    machines.push(new Machine(world, index, setup.clockRates[index]!));
  }
  const service = new Service(world, setup.clockRates.at(-1)!);

  if (setup.formed) beginFormed();
  service.begin();
  for (const machine of machines) machine.begin(setup.formed ? ledger.group.epoch : undefined);
  for (const fault of schedule.faults) queue.after(fault.atMs, () => strike(world, fault));
  const writers = schedule.writers.map(
    (each) =>
      new Writer(
        {
          ...world,
          newWrite() {
            writes += 1;
            return writes;
          },
        },
        each,
      ),
  );

  await runUntil(setup.endMs, () => false);
  heal(world);
  const healedAtMs = queue.nowMs;
  await runUntil(healedAtMs + convergenceLimitMs, isWhole);
  for (const writer of writers) writer.ended = true;
  if (checks.violations.length === 0) checkEnd();
  return {
    violations: checks.violations,
    steps: queue.steps,
    counts: trace.counts,
    story: trace.story,
    acknowledgedWrites: checks.acknowledgedWrites,
    convergedAfterMs: queue.nowMs - healedAtMs,
  };

  async function runUntil(untilMs: number, done: () => boolean): Promise<void> {
    while (queue.step(untilMs)) {
      if (touched) {
        touched = false;
        // What the promise's settling sets off happens now, at this moment of virtual time.
        await new Promise((resolve) => setImmediate(resolve));
      }
      checks.checkStep();
      if (checks.violations.length > 0 || queue.steps > mostSteps || done()) return;
    }
    queue.nowMs = untilMs;
  }

  /** As a group is that has been in sync for long. */
  function beginFormed(): void {
    const [nodeGroup] = ledger.group.nodeGroups;
    for (const member of membersOf(ledger.group)) {
      const primary = nodeGroup!.members[0]!;
      const isPrimary = member === primary;
      const last = nodeGroup!.members[1] ?? primary;
      const spec = nodeSpec(ledger.group, member, wanted, {
        endpointAddresses: [
          ...(isPrimary ? [nodeGroup!.primaryAddress!] : []),
          ...(member === last ? [nodeGroup!.readerAddress!] : []),
        ],
        ...(!isPrimary && { replicaOf: primary }),
      });
      machineOf(nodeIdOf(member)).startNode({ ...spec, version });
    }
    refresh();
    const lineage = engines.find(({ role }) => role === 'primary')!.replicationId;
    ledger.group = {
      ...ledger.group,
      nodeGroups: ledger.group.nodeGroups.map((each) => ({ ...each, lineage })),
    };
  }

  /** The service says so, and it is true. */
  function isWhole(): boolean {
    return service.convergedAtMs > healedAtMs && missing() === undefined;
  }

  /** What of the group is not as asked for. */
  function missing(): string | undefined {
    for (const { primary, primaryAddress, members } of ledger.group.nodeGroups) {
      const ruler = engines.find(({ start }) => start.member === primary);
      if (
        ruler?.writable !== true ||
        (primaryAddress !== undefined && !ruler.bound.includes(primaryAddress))
      ) {
        return `${primary} does not take writes at its endpoint`;
      }
      for (const member of members) {
        if (member.id === primary || member.status === 'deleting') continue;
        const engine = engines.find(({ start }) => start.member === member.id);
        if (engine?.link?.primary !== ruler || !engine.link.up)
          return `${member.id} does not follow ${primary}`;
      }
    }
    return undefined;
  }

  function checkEnd(): void {
    if (!isWhole()) {
      const sentence = missing() ?? `the service waits for ${service.waitingFor.join(' and ') || 'nothing'}`;
      const seconds = ((queue.nowMs - healedAtMs) / 1_000).toFixed(1);
      checks.report('V9', `not as asked for ${seconds} s after faults ended: ${sentence}`);
      return;
    }
    for (const { id, primary } of ledger.group.nodeGroups) {
      const ruler = engines.find(({ start }) => start.member === primary)!;
      const has = new Set(ruler.log);
      const lost = [...checks.surviving(id)].filter((write) => !has.has(write));
      if (lost.length > 0)
        checks.report('V3', `${primary} lacks ${lost.length} acknowledged writes in the end`);
    }
  }
}
