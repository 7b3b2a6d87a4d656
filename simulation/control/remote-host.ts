/**
 * The host that the executor talks to: every call goes to the machine where the node is, over the network, and its
 * answer comes back, or does not.
 */
import { type LeaseGrantor, leaseGrantor } from '@larder/fleet/agent/lease';
import { type Host, type NodeObservation, NodeUnreachable } from '@larder/fleet/host';
import type { Life } from './life.ts';
import type { Done, Machine, MachineWorld } from './machine.ts';
import { servicePlace } from './network.ts';

const renewTimeoutMs = 900;
const observeTimeoutMs = 600;
const orderTimeoutMs = 1_500;

export interface RemoteWorld extends MachineWorld {
  machineOf(nodeId: string): Machine;
  readonly mutation: MachineWorld['mutation'] & RemoteMutation;
}

export interface RemoteMutation {
  /** A service that begins does not reckon with leases that one before it granted. */
  readonly forgetsGrants?: boolean;
}

export interface RemoteHost extends Host {
  /** Begins to renew the machines' leases; goes on for as long as the service lives. */
  renewLeases(): void;
}

export function remoteHost(world: RemoteWorld, life: Life): RemoteHost {
  const { queue, network, trace, terms } = world;
  const sinceMs = life.clock.nowMs() - (world.mutation.forgetsGrants === true ? terms.leaseMs : 0);
  const grantors = new Map<Machine, LeaseGrantor>(
    world.machines.map((machine) => [machine, leaseGrantor(terms, sinceMs)]),
  );

  let calls = 0;

  /** @throws NodeUnreachable when no answer comes in time. */
  function call<T>(
    machine: Machine,
    kind: 'order' | 'observe' | 'renew',
    timeoutMs: number,
    work: (done: Done<T>) => void,
  ): Promise<T> {
    calls += 1;
    const number = calls;
    return life.promise<T>((settle) => {
      let open = true;
      const done: Done<T> = (result) => {
        if (!open) return;
        open = false;
        queue.callOff(timeout);
        settle(result);
      };
      const timeout = queue.after(timeoutMs, () => done(new NodeUnreachable(`machine ${machine.index}`)));
      const there = network.messageDelayMs(servicePlace, machine.index);
      if (there === undefined) return trace.count('message lost: order');
      if (there > 50) trace.count('message late: order');
      queue.after(there, () => {
        if (!machine.up) return;
        const answer: Done<T> = (result) => {
          const back = network.messageDelayMs(machine.index, servicePlace);
          if (back === undefined) return trace.count('message lost: answer');
          queue.after(back, () => done(result));
        };
        try {
          machine.admitCall(life.number, number, kind);
          work(answer);
        } catch (error) {
          answer(error as Error);
        }
      });
    });
  }

  /** Every so often answers the machine's last question, and is given the next. */
  function renew(machine: Machine): void {
    const grantor = grantors.get(machine)!;
    let question: { readonly text: string; readonly atMs: number } | undefined;
    let renewing = false;
    const ask = (): void => {
      if (renewing) return;
      renewing = true;
      if (question !== undefined) grantor.granting(question.atMs);
      const answered = question?.text;
      call<string>(machine, 'renew', renewTimeoutMs, (done) => done(machine.renew(answered))).then(
        (text) => {
          const first = question === undefined;
          question = { text, atMs: life.clock.nowMs() };
          renewing = false;
          // It has no lease before it has an answer.
          if (first) ask();
        },
        () => {
          question = undefined;
          renewing = false;
        },
      );
    };
    const beat = (): void => {
      queue.after(terms.renewEveryMs, () => life.attend(beat));
      ask();
    };
    beat();
  }

  async function observeMachine(
    machine: Machine,
    nodeIds: readonly string[],
  ): Promise<readonly NodeObservation[]> {
    try {
      return await call<readonly NodeObservation[]>(machine, 'observe', observeTimeoutMs, (done) =>
        done(nodeIds.map((id) => machine.observe(id))),
      );
    } catch {
      const host = `host-${machine.index}`;
      const kind =
        !world.local && grantors.get(machine)!.expired(life.clock.nowMs()) ? 'fenced' : 'unreachable';
      trace.count(`seen: ${kind}`);
      return nodeIds.map((nodeId) => ({ nodeId, process: { kind, host } }));
    }
  }

  const order: <T>(nodeId: string, work: (machine: Machine, done: Done<T>) => void) => Promise<T> = (
    nodeId,
    work,
  ) => {
    const machine = world.machineOf(nodeId);
    return call(machine, 'order', orderTimeoutMs, (done) => work(machine, done));
  };

  return {
    id: 'simulated',
    mostConnections: 1_000,
    renewLeases() {
      if (!world.local) for (const machine of world.machines) renew(machine);
    },
    async observe(nodeIds) {
      const byMachine = new Map<Machine, string[]>();
      for (const nodeId of nodeIds) {
        const machine = world.machineOf(nodeId);
        const ids = byMachine.get(machine);
        if (ids === undefined) byMachine.set(machine, [nodeId]);
        else ids.push(nodeId);
      }
      const seen = await Promise.all([...byMachine].map(([machine, ids]) => observeMachine(machine, ids)));
      return new Map(seen.flat().map((each) => [each.nodeId, each]));
    },
    startNode: (spec) =>
      order<void>(spec.nodeId, (machine, done) => {
        machine.startNode(spec);
        done(undefined);
      }),
    keepData: (nodeId, given) =>
      order<void>(nodeId, (machine, done) => {
        machine.admit(given);
        machine.keepData(nodeId);
        done(undefined);
      }),
    stopNode: (nodeId, given) =>
      order<void>(nodeId, (machine, done) => {
        machine.admit(given);
        machine.stopNode(nodeId, done);
      }),
    killNode: (nodeId, given, incarnation) =>
      order<boolean>(nodeId, (machine, done) => {
        machine.admit(given);
        machine.killNode(nodeId, incarnation, done);
      }),
    listen: (nodeId, given, listening) =>
      order<void>(nodeId, (machine, done) => {
        machine.admit(given);
        machine.listen(nodeId, listening, done);
      }),
    removeNode: (nodeId) => order<void>(nodeId, (machine, done) => machine.removeNode(nodeId, done)),
    command: (nodeId, given, commands) =>
      order<unknown[]>(nodeId, (machine, done) => {
        machine.admit(given);
        machine.command(nodeId, commands, done);
      }),
    readSettings: notSimulated,
    readings: notSimulated,
    moveKeys: notSimulated,
    setUsers: notSimulated,
    setPorts: notSimulated,
    renewCertificate: notSimulated,
    saveSnapshot: notSimulated,
    copySnapshot: notSimulated,
    removeSnapshot: notSimulated,
    exportSnapshot: notSimulated,
    abandonExport: notSimulated,
    importSnapshot: notSimulated,
    rehearseSnapshot: notSimulated,
    deliverLogs: notSimulated,
    readLog: notSimulated,
    certificateFiles: notSimulated,
    isAddressFree: notSimulated,
    onChange: () => () => {},
    async close() {},
  };
}

function notSimulated(): never {
  throw new Error('This call is not simulated.');
}
