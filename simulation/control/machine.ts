/**
 * A machine with its agent: starts and ends engines as told, answers what is true, refuses orders of the past, and
 * takes writes away from its primaries before its lease ends. The rules of leases are the real ones (`lease.ts`); what
 * the agent does with them follows `host-lease.ts`, which does it with files, timers and processes. Two rules are this
 * machine's own, and the simulation shows what happens without them: an agent takes no orders while it may not let
 * primaries take writes (`#refuseWithoutLease`), and none that its controller sent before it last looked (`admitCall`).
 */
import {
  breaksPromise,
  type ConsentHolder,
  type ConsentPromise,
  type ConsentQuestion,
  consentHolder,
  consents,
  type LeaseHolder,
  type LeaseTerms,
  leaseHolder,
  promiseAfter,
} from '@larder/fleet/agent/lease';
import {
  type Listening,
  type NodeObservation,
  NodeUnreachable,
  type Order,
  StaleOrder,
  writeFence,
} from '@larder/fleet/host';
import type { NodeSpec } from '@larder/fleet/node-spec';
import { Engine, type EngineWorld } from './engine.ts';
import { connectSoon } from './replication.ts';

export type Done<T> = (result: T | Error) => void;

export interface MachineWorld extends EngineWorld {
  readonly terms: LeaseTerms;
  readonly groupId: string;
  readonly machines: readonly Machine[];
  /** Everything is on one machine: nothing can be promoted elsewhere, and there are no leases. */
  readonly local: boolean;
  shardOf(nodeId: string): string;
  /** Something about a node changed: the service hears of it, mostly. */
  changed(machine: Machine): void;
  /** It may not let primaries take writes any more. */
  writesTakenAway(machine: Machine): void;
  admitted(machine: Machine, order: Order, highest: number): void;
  readonly mutation: MachineMutation;
}

export interface MachineMutation {
  readonly admitsAnyEpoch?: boolean;
  readonly neverFences?: boolean;
  /** Also while it may not let primaries take writes. */
  readonly takesAnyOrder?: boolean;
  /** Also those that were on their way while their controller looked again. */
  readonly takesOvertaken?: boolean;
  /** It hears no controller, and still refuses its consent until its own lease has ended. */
  readonly consentsLate?: boolean;
}

/** What the agent waits for of an engine. */
const commandTimeoutMs = 500;
const fenceAnswerMs = 250;
/** A process that is stopped is known to hang after so long. */
const hangAfterMs = 600;
const askEveryMs = 250;

export class Machine {
  readonly index: number;
  readonly #world: MachineWorld;
  /** Of its clock: where it stands, and how fast it runs. */
  readonly #offsetMs: number;
  readonly #rate: number;
  readonly #nodes = new Map<string, Engine>();
  readonly #reaped = new Set<Engine>();
  readonly #keptData = new Set<Engine>();
  #pid = 100;
  up = false;
  #life = 0;
  #holder: LeaseHolder;
  #consent: ConsentHolder;
  #promise: ConsentPromise | undefined;
  #fenced = false;
  /** On disk. */
  #highestEpoch = 0;
  #highestLeader = 0;
  #lastLook = 0;
  #inCharge = false;
  #lastQuestionAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: MachineWorld, index: number, rate: number) {
    this.#world = world;
    this.index = index;
    this.#offsetMs = world.random.between(0, 1_000_000);
    this.#rate = rate;
    this.#holder = leaseHolder(world.terms, `${index}.0`);
    this.#consent = consentHolder(world.terms);
  }

  get clockMs(): number {
    return this.#offsetMs + this.#world.queue.nowMs * this.#rate;
  }

  engine(nodeId: string): Engine | undefined {
    return this.#nodes.get(nodeId);
  }

  get engines(): readonly Engine[] {
    return [...this.#nodes.values()];
  }

  // --- life ------------------------------------------------------------------------------------------------

  /** @param inChargeOf set when it has had members of a group of this epoch for long, and has its lease. */
  begin(inChargeOf?: number): void {
    this.up = true;
    this.#life += 1;
    this.#holder = leaseHolder(this.#world.terms, `${this.index}.${this.#life}`);
    this.#consent = consentHolder(this.#world.terms);
    this.#fenced = false;
    if (inChargeOf !== undefined) {
      this.#highestEpoch = inChargeOf;
      this.#inCharge = true;
      this.#holder.granted(this.#holder.ask(this.clockMs));
      this.#lookAtLease();
    }
    if (!this.#world.local) this.#tick(this.#life);
  }

  /** The agent ends; engines run on. Its guard, which is a process of its own, fences what the agent can't. */
  endAgent(): void {
    this.up = false;
  }

  /** Everything on it ends. */
  lose(): void {
    this.up = false;
    for (const engine of this.engines) engine.end(0);
  }

  // --- lease -----------------------------------------------------------------------------------------------

  /** Looks now and then whether a controller has been silent for so long that others are to be asked. */
  #tick(life: number): void {
    if (!this.up || life !== this.#life) return;
    if (!this.#holder.hears(this.clockMs)) this.#askPeers();
    this.#lookAtLease();
    this.#afterLocally(askEveryMs, () => this.#tick(life));
  }

  /** A controller answered `question`, the last it was given. @returns the next one. */
  renew(question: string | undefined): string {
    // It tells in the same message what the host is in charge of.
    this.#inCharge = true;
    if (question !== undefined) this.#holder.granted(question);
    this.#lookAtLease();
    return this.#holder.ask(this.clockMs);
  }

  #askPeers(): void {
    const { machines, groupId, network, queue } = this.#world;
    const askedAtMs = this.clockMs;
    if (askedAtMs - this.#lastQuestionAtMs < askEveryMs * 0.9) return;
    this.#lastQuestionAtMs = askedAtMs;
    const peers = machines.filter((each) => each !== this);
    const question = { group: groupId, epoch: this.#highestEpoch };
    let missing = peers.length;
    if (missing === 0 || !this.#inCharge) return;
    const life = this.#life;
    for (const peer of peers) {
      if (!network.reaches(this.index, peer.index)) continue;
      queue.after(network.delayMs(), () => {
        if (!peer.up || !peer.consentTo(question) || !network.reaches(peer.index, this.index)) return;
        queue.after(network.delayMs(), () => {
          missing -= 1;
          if (missing > 0 || !this.up || life !== this.#life) return;
          this.#world.trace.count('lease: every other host consented');
          this.#consent.given(groupId, askedAtMs);
          this.#lookAtLease();
        });
      });
    }
  }

  consentTo(question: ConsentQuestion): boolean {
    const now = this.clockMs;
    const hearsController =
      this.#world.mutation.consentsLate === true ? now < this.#holder.endsAtMs : this.#holder.hears(now);
    if (!consents(question, { hearsController, seenEpoch: this.#highestEpoch })) return false;
    this.#promise = promiseAfter(this.#world.terms, this.#promise, question, now);
    return true;
  }

  /** Whether its primaries may take writes. */
  get serves(): boolean {
    const now = this.clockMs;
    return this.#world.local || this.#holder.serves(now) || this.#consent.serves(this.#world.groupId, now);
  }

  #endsAtMs(): number {
    return Math.max(this.#holder.endsAtMs, this.#consent.endsAtMs(this.#world.groupId));
  }

  /** Fences when it is time, and looks again when it will be. */
  #lookAtLease(): void {
    if (this.#world.local) return;
    if (!this.serves) {
      if (!this.#fenced) this.#takeWritesAway();
      this.#fenced = true;
      return;
    }
    this.#fenced = false;
    const endsAtMs = this.#endsAtMs();
    this.#afterLocally(endsAtMs - this.#world.terms.fenceAheadMs - this.clockMs + 0.01, () => {
      // Renewed meanwhile: the look that came with that does it.
      if (this.#endsAtMs() === endsAtMs) this.#lookAtLease();
    });
  }

  #takeWritesAway(): void {
    this.#world.writesTakenAway(this);
    if (this.#world.mutation.neverFences === true) return;
    for (const engine of this.engines) {
      if (!engine.lives) continue;
      this.#world.trace.count('lease: writes taken away');
      let answered = false;
      engine.later(1 + this.#world.random.next() * 20, () => {
        answered = true;
        if (engine.role !== 'primary') return;
        engine.fence = writeFence;
        engine.listen([engine.start.address], engine.bound);
      });
      this.#afterLocally(fenceAnswerMs, () => {
        if (!answered) this.#kill(engine);
      });
    }
  }

  #afterLocally(ms: number, run: () => void): void {
    this.#world.queue.after(ms / this.#rate, run);
  }

  // --- orders ----------------------------------------------------------------------------------------------

  /**
   * Every message tells which controller it is of, and which of its messages it is. An order goes by what its controller
   * saw before it; once that one has looked again, the order was overtaken.
   * @throws StaleOrder
   */
  admitCall(leader: number, number: number, kind: 'order' | 'observe' | 'renew'): void {
    if (leader < this.#highestLeader) {
      this.#world.trace.count('order refused: of a service before');
      throw new StaleOrder('another leads');
    }
    if (leader > this.#highestLeader) this.#lastLook = 0;
    this.#highestLeader = leader;
    if (kind === 'observe') this.#lastLook = Math.max(this.#lastLook, number);
    if (kind !== 'order' || number > this.#lastLook || this.#world.mutation.takesOvertaken === true) return;
    this.#world.trace.count('order refused: overtaken');
    throw new StaleOrder('overtaken');
  }

  /** @throws StaleOrder */
  admit(order: Order): void {
    const { mutation } = this.#world;
    if (order.epoch < this.#highestEpoch && mutation.admitsAnyEpoch !== true) {
      this.#world.trace.count('order refused: of the past');
      throw new StaleOrder(`epoch ${order.epoch} after ${this.#highestEpoch}`);
    }
    if (breaksPromise(this.#promise, order.epoch, this.clockMs)) {
      this.#world.trace.count('order refused: promised to another host');
      throw new StaleOrder('promised');
    }
    this.#refuseWithoutLease();
    this.#world.admitted(this, order, this.#highestEpoch);
    this.#highestEpoch = Math.max(this.#highestEpoch, order.epoch);
  }

  /**
   * What it had to take writes away from must not be given them back by an order that was long on its way, and what it
   * starts must not take writes that it will not take away. @throws StaleOrder
   */
  #refuseWithoutLease(): void {
    if (this.serves || this.#world.mutation.takesAnyOrder === true) return;
    this.#world.trace.count('order refused: without a lease');
    throw new StaleOrder('without a lease');
  }

  observe(nodeId: string): NodeObservation {
    const engine = this.#nodes.get(nodeId);
    if (engine === undefined) return { nodeId, process: { kind: 'absent' } };
    const { incarnation, version, generation } = engine.start;
    const started = { version, generation, ports: { plainPort: 6379, tlsPort: 0 } };
    if (!engine.lives) {
      const how = engine.condition === 'exiting' ? 'exiting' : this.#reaped.has(engine) ? 'reaped' : 'gone';
      return { nodeId, process: { kind: 'dead', incarnation, how }, started };
    }
    const kept = this.#keptData.has(engine) && { keptData: 'saved' as const };
    if (!engine.runs) {
      const silentMs = this.#world.queue.nowMs - engine.stoppedAtMs;
      const hang = silentMs > hangAfterMs && { hang: { how: 'stopped' as const, silentMs } };
      return { nodeId, process: { kind: 'running', incarnation, ...hang }, started };
    }
    return {
      nodeId,
      process: { kind: 'running', incarnation },
      started,
      ...kept,
      engine: {
        info: engine.info(),
        boundAddresses: [...engine.bound],
        writesFenced: engine.fenced,
      },
    };
  }

  startNode(spec: NodeSpec): void {
    const known = this.#nodes.get(spec.nodeId);
    if (known?.lives === true) return;
    if (this.up) this.#refuseWithoutLease();
    this.#pid += 1;
    const { address, endpointAddresses, replicaOf } = spec.settings;
    const engine = new Engine(this.#world, {
      member: spec.nodeId.slice(0, spec.nodeId.lastIndexOf('.')),
      shard: this.#world.shardOf(spec.nodeId),
      nodeId: spec.nodeId,
      address,
      machine: this.index,
      incarnation: { pid: this.#pid, startTicks: this.#pid },
      bound: [address, ...endpointAddresses],
      version: spec.version,
      generation: spec.generation,
    });
    this.adopt(engine);
    if (this.engines.some((each) => each !== engine && holdsAny(each, engine.bound))) {
      this.#world.trace.count('start failed: address in use');
      engine.end(0);
      return;
    }
    if (replicaOf === undefined) engine.rule();
    else {
      engine.role = 'replica';
      engine.source = replicaOf;
      connectSoon(engine);
    }
    this.#world.changed(this);
  }

  /** A process of its own. */
  adopt(engine: Engine): void {
    this.#nodes.set(engine.start.nodeId, engine);
    engine.onChange = () => this.#world.changed(this);
    this.#reaped.add(engine);
  }

  #kill(engine: Engine): void {
    this.#world.trace.count('process killed');
    engine.end(this.#world.random.next() * 20);
  }

  keepData(nodeId: string): void {
    const engine = this.#nodes.get(nodeId);
    if (engine !== undefined) this.#keptData.add(engine);
  }

  stopNode(nodeId: string, done: Done<void>): void {
    const engine = this.#nodes.get(nodeId);
    if (engine === undefined || engine.condition === 'gone') {
      done(undefined);
      return;
    }
    // SIGTERM reaches no process that is stopped; after the grace it is killed.
    if (engine.runs) engine.end(this.#world.random.next() * 30);
    this.#world.queue.after(engine.lives ? 3_000 : 40, () => {
      engine.end(1);
      this.stopNode(nodeId, done);
    });
  }

  killNode(nodeId: string, incarnation: { readonly pid: number }, done: Done<boolean>): void {
    const engine = this.#nodes.get(nodeId);
    if (engine?.start.incarnation.pid === incarnation.pid && engine.lives) this.#kill(engine);
    done(true);
  }

  removeNode(nodeId: string, done: Done<void>): void {
    this.stopNode(nodeId, () => {
      this.#nodes.delete(nodeId);
      done(undefined);
    });
  }

  command(nodeId: string, commands: readonly (readonly string[])[], done: Done<unknown[]>): void {
    this.#ask(nodeId, done, (engine) => {
      // One pipeline: those after one that is refused are executed too.
      const replies = commands.map((command) => {
        try {
          return engine.execute(command);
        } catch (error) {
          return error;
        }
      });
      const refused = replies.find((reply) => reply instanceof Error);
      if (refused !== undefined) throw refused;
      return replies;
    });
  }

  listen(nodeId: string, { addresses, dropped }: Listening, done: Done<void>): void {
    this.#ask(nodeId, done, (engine) => {
      const taken = addresses.filter((address) => !engine.bound.includes(address));
      if (this.engines.some((each) => each !== engine && holdsAny(each, taken))) {
        throw new Error(`Address in use: ${taken.join(', ')}`);
      }
      engine.listen(addresses, dropped);
    });
  }

  /** What was asked of an engine that is stopped waits in its socket, also when nobody waits for the answer any more. */
  #ask<T>(nodeId: string, done: Done<T>, run: (engine: Engine) => T): void {
    const engine = this.#nodes.get(nodeId);
    if (engine?.lives !== true) {
      done(new NodeUnreachable(nodeId));
      return;
    }
    let open = true;
    const finish = (result: T | Error): void => {
      if (open) done(result);
      open = false;
    };
    const timeout = this.#world.queue.after(commandTimeoutMs, () => finish(new NodeUnreachable(nodeId)));
    engine.later(0.05 + this.#world.random.next(), () => {
      this.#world.queue.callOff(timeout);
      try {
        finish(run(engine));
      } catch (error) {
        finish(error as Error);
      }
    });
  }
}

/** Its sockets are open until its process is gone. */
function holdsAny(engine: Engine, addresses: readonly string[]): boolean {
  return engine.condition !== 'gone' && engine.bound.some((address) => addresses.includes(address));
}
