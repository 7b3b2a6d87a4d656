/** Does to the world what a schedule says, and undoes it. */
import { type Handover, membersOf, nodeIdOf } from '@larder/control/replication-group/replication-group';
import type { Engine } from './engine.ts';
import { memberAt } from './group.ts';
import { changeShard } from './ledger.ts';
import type { Machine } from './machine.ts';
import { type Place, servicePlace } from './network.ts';
import type { Fault } from './schedule.ts';
import type { Service, ServiceWorld } from './service.ts';

export interface FaultyWorld extends ServiceWorld {
  readonly service: Service;
  readonly engines: () => readonly Engine[];
}

export function strike(world: FaultyWorld, fault: Fault): void {
  const { queue, trace, network, service, ledger } = world;
  const { forMs, which, detail } = fault;
  trace.count(`fault: ${fault.kind}`);
  trace.tell(() => `fault: ${fault.kind}, ${forMs} ms`);
  const machine = world.machines[which % world.machines.length]!;
  const engines = world.engines().filter(({ lives }) => lives);
  const engine = engines[which % Math.max(1, engines.length)];
  const primary = engines.find(({ role }) => role === 'primary');
  const afterwards = (run: () => void): void => {
    queue.after(forMs, run);
  };
  switch (fault.kind) {
    case 'engine crash':
      engine?.end(exitingMs(detail));
      return;
    case 'primary crash':
      primary?.end(exitingMs(detail));
      return;
    case 'engine stop':
    case 'primary stop': {
      const halted = fault.kind === 'engine stop' ? engine : primary;
      halted?.halt();
      afterwards(() => halted?.resume());
      return;
    }
    case 'all crash':
      for (const each of engines) each.end(exitingMs(detail));
      return;
    case 'service crash':
      service.end();
      afterwards(() => service.begin());
      return;
    case 'service crash at effect':
      dieSoon(world, fault);
      return;
    case 'handover cut off':
      ask(world, () => handOver(world, which));
      dieSoon(world, fault);
      return;
    case 'slow stream':
      network.streamLagMs = 1 + detail / 4;
      afterwards(() => {
        network.streamLagMs = 0;
      });
      return;
    case 'service stall': {
      const { life } = service;
      if (life !== undefined) life.stalledUntilMs = queue.nowMs + forMs;
      return;
    }
    case 'agent crash':
      if (!machine.up) return;
      network.onDisturbance();
      machine.endAgent();
      // What watches over agents starts them again soon.
      queue.after(Math.min(forMs, 1_000), () => beginAgain(world, machine));
      return;
    case 'machine lost':
      network.onDisturbance();
      machine.lose();
      afterwards(() => beginAgain(world, machine));
      return;
    case 'machine cut off':
      cut(world, machine, [servicePlace, ...othersOf(world, machine)], 'both', forMs);
      return;
    case 'machine cut off twice':
      cut(world, machine, [servicePlace, ...othersOf(world, machine)], 'both', forMs);
      queue.after(forMs + (detail % 10 === 0 ? 3 * detail : detail / 2), () =>
        cut(world, machine, [servicePlace, ...othersOf(world, machine)], 'both', forMs),
      );
      return;
    case 'machine cut off from the service':
      cut(world, machine, [servicePlace], 'both', forMs);
      return;
    case 'one-way cut':
      cut(
        world,
        machine,
        [servicePlace, ...othersOf(world, machine)],
        detail % 2 === 0 ? 'in' : 'out',
        forMs,
      );
      return;
    case 'messages lost':
      network.onDisturbance();
      network.lossProbability = (detail % 60) / 100;
      afterwards(() => {
        network.onDisturbance();
        network.lossProbability = 0;
      });
      return;
    case 'messages late':
      network.onDisturbance();
      network.lateProbability = (detail % 50) / 100;
      afterwards(() => {
        network.onDisturbance();
        network.lateProbability = 0;
      });
      return;
    case 'slow disk':
      ledger.slowMs = 5 + detail;
      afterwards(() => {
        ledger.slowMs = 0;
      });
      return;
    case 'handover':
      ask(world, () => handOver(world, which));
      return;
    case 'restart nodes':
      ask(world, () => restart(world));
      return;
    case 'add replica':
      ask(world, () => addReplica(world));
      return;
    case 'remove replica':
      ask(world, () => removeReplica(world, which));
      return;
  }
}

/** The service is killed around one of the next things it does. */
function dieSoon({ service, queue }: FaultyWorld, { which, detail, forMs }: Fault): void {
  const { life } = service;
  if (life === undefined) return;
  life.diesIn = { effects: 1 + (which % 20), before: detail % 2 === 0 };
  queue.after(forMs, () => service.begin());
}

/** Everything works again. */
export function heal(world: FaultyWorld): void {
  world.trace.tell(() => 'faults end');
  world.network.mendAll();
  world.ledger.slowMs = 0;
  for (const machine of world.machines) beginAgain(world, machine);
  for (const engine of world.engines()) engine.resume();
  const { life } = world.service;
  if (life !== undefined) {
    life.diesIn = undefined;
    life.stalledUntilMs = 0;
  }
  world.service.begin();
}

function beginAgain({ network }: FaultyWorld, machine: Machine): void {
  network.onDisturbance();
  if (!machine.up) machine.begin();
}

/** Up to a fifth of a second, as a process takes that has much memory to give back. */
function exitingMs(detail: number): number {
  return 0.1 + (detail % 10 === 0 ? detail / 5 : detail / 100);
}

function othersOf(world: FaultyWorld, machine: Machine): Place[] {
  return world.machines.filter((each) => each !== machine).map(({ index }) => index);
}

function cut(
  { network, queue }: FaultyWorld,
  { index }: Machine,
  others: readonly Place[],
  way: 'in' | 'out' | 'both',
  forMs: number,
): void {
  for (const other of others) {
    if (way !== 'out') network.cut(other, index);
    if (way !== 'in') network.cut(index, other);
  }
  queue.after(forMs, () => {
    for (const other of others) {
      network.mend(other, index);
      network.mend(index, other);
    }
  });
}

// --- what people ask for: written down at once, as requests do ----------------------------------------------

function ask(world: FaultyWorld, write: () => void): void {
  if (world.ledger.group.status !== 'available') return;
  write();
  world.service.wake();
}

function handOver({ ledger }: FaultyWorld, which: number): void {
  const nodeGroup = ledger.group.nodeGroups[which % ledger.group.nodeGroups.length]!;
  const others = nodeGroup.members.filter(
    ({ id, status }) => id !== nodeGroup.primary && status === 'available',
  );
  if (others.length === 0 || nodeGroup.handover !== undefined) return;
  const named = which % 3 === 0 && { to: others[which % others.length]!.id };
  const handover: Handover = { from: nodeGroup.primary, ...named };
  ledger.group = changeShard(ledger.group, nodeGroup.id, { handover });
}

function restart({ ledger }: FaultyWorld): void {
  ledger.group = {
    ...ledger.group,
    nodeGroups: ledger.group.nodeGroups.map((nodeGroup) => ({
      ...nodeGroup,
      members: nodeGroup.members.map((member) => ({ ...member, generation: member.generation + 1 })),
    })),
  };
}

function addReplica({ ledger }: FaultyWorld): void {
  const [nodeGroup] = ledger.group.nodeGroups;
  if (nodeGroup === undefined || nodeGroup.members.length > 4) return;
  const taken = new Set(membersOf(ledger.group).map(nodeIdOf));
  let index = 0;
  while (taken.has(nodeIdOf(memberAt(index, false)))) index += 1;
  const members = [...nodeGroup.members, memberAt(index, false)];
  ledger.group = changeShard(ledger.group, nodeGroup.id, { members });
}

function removeReplica({ ledger }: FaultyWorld, which: number): void {
  const [nodeGroup] = ledger.group.nodeGroups;
  const replicas = nodeGroup!.members.filter(
    ({ id, status }) => id !== nodeGroup!.primary && status === 'available',
  );
  const leaving = replicas[which % Math.max(1, replicas.length)];
  if (leaving === undefined || nodeGroup!.handover !== undefined) return;
  ledger.group = changeShard(ledger.group, nodeGroup!.id, {
    members: nodeGroup!.members.map((member) =>
      member.id === leaving.id ? { ...member, status: 'deleting' as const } : member,
    ),
  });
}
