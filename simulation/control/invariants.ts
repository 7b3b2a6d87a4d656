/**
 * What must hold after every step.
 *
 * - V1 At most one node of a shard would acknowledge a write.
 * - V2 No node acknowledges after a later primary of its shard did.
 * - V3 An acknowledged write is lost only with every process that had it, or when a primary was replaced that could not
 *   be asked and nobody who answered had more.
 * - V4 A primary that lives, on a host that has its lease, loses its role only to one that has everything it acknowledged.
 * - V5 No primary without data takes writes while a process of the shard that lives has some; unless it took over with a
 *   copy of a predecessor's history that had nothing in it yet: what that lost is for V3 and V4.
 * - V6 A write that came by an endpoint is acknowledged while no other node holds that endpoint and would acknowledge too.
 * - V7 The group's epochs rise, and no host carries out an order of an epoch below one it has seen.
 * - V8 The linter finds nothing in a plan of the planner, and the planner always has one.
 * - V9 When faults end, every group converges in bounded time: one primary that takes writes at its endpoint, and as many
 *   replicas in sync as were asked for.
 * - V10 A node becomes a primary only once it is written down as one.
 * - V11 While every host reaches every other, whether there is a controller or not, no primary is kept from its writes.
 */
import type { NodeObservation, Order } from '@larder/fleet/host';
import type { Engine, EngineWatcher } from './engine.ts';
import type { Ledger } from './ledger.ts';
import type { Machine } from './machine.ts';

export type Invariant = `V${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11}`;

export interface Violation {
  readonly invariant: Invariant;
  readonly atMs: number;
  readonly detail: string;
}

export interface CheckedWorld {
  readonly queue: { readonly nowMs: number };
  readonly machines: readonly Machine[];
  readonly ledger: Ledger;
  readonly engines: () => readonly Engine[];
}

interface ShardHistory {
  /** Acknowledged, and not lost with every process that had it. */
  readonly surviving: Set<number>;
  ruler: Engine | undefined;
  /** Of every ruler so far, as it began. */
  readonly histories: Set<string>;
  lastAcknowledging: Engine | undefined;
  /** How far everybody who answered was when the last decision was made. */
  candidates: readonly {
    readonly engine: Engine;
    readonly log: readonly number[];
    readonly offset: number;
  }[];
}

export class Invariants implements EngineWatcher {
  readonly violations: Violation[] = [];
  acknowledgedWrites = 0;
  readonly #world: CheckedWorld;
  readonly #shards = new Map<string, ShardHistory>();
  /** Took over with a copy of a predecessor's history. */
  readonly #heirs = new WeakSet<Engine>();
  #reigns = 0;
  #epoch = 0;

  constructor(world: CheckedWorld) {
    this.#world = world;
  }

  report(invariant: Invariant, detail: string): void {
    this.violations.push({ invariant, atMs: this.#world.queue.nowMs, detail });
  }

  surviving(shard: string): ReadonlySet<number> {
    return this.#shard(shard).surviving;
  }

  // --- after every step ------------------------------------------------------------------------------------

  checkStep(): void {
    const engines = this.#world.engines();
    for (let at = 0; at < engines.length; at += 1) {
      const engine = engines[at]!;
      if (!engine.writable) continue;
      for (let other = 0; other < engines.length; other += 1) {
        const rival = engines[other]!;
        if (rival === engine || rival.start.shard !== engine.start.shard) continue;
        if (other > at && rival.writable) {
          this.report('V1', `${engine.start.member} and ${rival.start.member} would both acknowledge writes`);
        }
        if (engine.keys === 0 && rival.lives && rival.keys > 0 && !this.#heirs.has(engine)) {
          this.report(
            'V5',
            `${engine.start.member} takes writes without data while ${rival.start.member} has some`,
          );
        }
      }
    }
    const { epoch } = this.#world.ledger.group;
    if (epoch < this.#epoch) this.report('V7', `the epoch went from ${this.#epoch} to ${epoch}`);
    this.#epoch = epoch;
  }

  // --- told by engines and machines ------------------------------------------------------------------------

  becamePrimary(engine: Engine): void {
    this.#reigns += 1;
    engine.reign = this.#reigns;
    const shard = this.#shard(engine.start.shard);
    const { member } = engine.start;
    const nodeGroup = this.#world.ledger.group.nodeGroups.find(({ id }) => id === engine.start.shard);
    if (nodeGroup?.primary !== member) {
      this.report('V10', `${member} becomes a primary while ${nodeGroup?.primary} is written down`);
    }
    this.#checkSuccession(shard, engine);
    if (shard.histories.has(engine.previousReplicationId)) this.#heirs.add(engine);
    shard.histories.add(engine.replicationId);
    shard.ruler = engine;
  }

  #checkSuccession(shard: ShardHistory, engine: Engine): void {
    if (shard.surviving.size === 0) return;
    const has = new Set(engine.log);
    const missing = [...shard.surviving].filter((write) => !has.has(write));
    if (missing.length === 0) return;
    const { ruler } = shard;
    const { member } = engine.start;
    if (ruler?.lives === true && ruler !== engine) {
      const machine = this.#world.machines[ruler.start.machine]!;
      if (machine.serves) {
        this.report(
          'V4',
          `${member} takes over from ${ruler.start.member}, which lives, without ${inWords(missing)}`,
        );
      }
    }
    for (const { engine: candidate, log, offset } of shard.candidates) {
      if (candidate === engine || !candidate.lives) continue;
      const seen = new Set(log.slice(0, offset));
      const lost = missing.filter((write) => seen.has(write));
      if (lost.length === 0) continue;
      this.report(
        'V3',
        `${member} is made the primary without ${inWords(lost)}, which ${candidate.start.member} has`,
      );
    }
    for (const write of missing) shard.surviving.delete(write);
  }

  acknowledged(engine: Engine, write: number, address: string): void {
    this.acknowledgedWrites += 1;
    const shard = this.#shard(engine.start.shard);
    shard.surviving.add(write);
    const before = shard.lastAcknowledging;
    if (before !== undefined && before.reign > engine.reign) {
      this.report(
        'V2',
        `${engine.start.member} acknowledges write ${write} after ${before.start.member} took over`,
      );
    }
    shard.lastAcknowledging = engine;
    if (address === engine.start.address) return;
    for (const rival of this.#world.engines()) {
      if (rival === engine || !rival.writable || !rival.bound.includes(address)) continue;
      this.report('V6', `${engine.start.member} and ${rival.start.member} both serve ${address}`);
    }
  }

  replaced(engine: Engine): void {
    const shard = this.#shard(engine.start.shard);
    const lost = this.#heldByNobody(engine.start.shard);
    if (lost.length === 0) return;
    this.report('V3', `a whole copy that ${engine.start.member} took replaced the last of ${inWords(lost)}`);
    for (const write of lost) shard.surviving.delete(write);
  }

  ended(engine: Engine): void {
    const shard = this.#shard(engine.start.shard);
    for (const write of this.#heldByNobody(engine.start.shard)) shard.surviving.delete(write);
  }

  #heldByNobody(shardId: string): number[] {
    const { surviving } = this.#shard(shardId);
    if (surviving.size === 0) return [];
    const held = new Set<number>();
    for (const engine of this.#world.engines()) {
      if (engine.lives && engine.start.shard === shardId) for (const write of engine.log) held.add(write);
    }
    return [...surviving].filter((write) => !held.has(write));
  }

  admitted(machine: Machine, order: Order, highest: number): void {
    if (order.epoch >= highest) return;
    this.report('V7', `machine ${machine.index} takes an order of epoch ${order.epoch} after ${highest}`);
  }

  /** @param calmMs for how long every host has been there and reached every other. */
  writesTakenAway(machine: Machine, calmMs: number): void {
    if (calmMs < 5_000) return;
    const { nodeGroups } = this.#world.ledger.group;
    const rules = ({ start, role, lives }: Engine) =>
      lives && role === 'primary' && nodeGroups.some(({ primary }) => primary === start.member);
    if (!machine.engines.some(rules)) return;
    this.report('V11', `machine ${machine.index} takes writes away after ${calmMs.toFixed(0)} ms of calm`);
  }

  /** The service decides on a successor, knowing this. */
  decides(shardId: string, observations: ReadonlyMap<string, NodeObservation>): void {
    const shard = this.#shard(shardId);
    shard.candidates = this.#world.engines().flatMap((engine) => {
      const info = observations.get(engine.start.nodeId)?.engine?.info;
      const same = info?.pid === engine.start.incarnation.pid && engine.start.shard === shardId;
      // Offsets of another history say nothing.
      if (!same || info.loading || info.replication.replicationId !== engine.replicationId) return [];
      if (shard.ruler !== undefined && info.replication.replicationId !== shard.ruler.replicationId)
        return [];
      return [{ engine, log: engine.log, offset: info.replication.offset }];
    });
  }

  #shard(id: string): ShardHistory {
    let shard = this.#shards.get(id);
    if (shard === undefined) {
      shard = {
        surviving: new Set(),
        ruler: undefined,
        histories: new Set(),
        lastAcknowledging: undefined,
        candidates: [],
      };
      this.#shards.set(id, shard);
    }
    return shard;
  }
}

function inWords(writes: readonly number[]): string {
  const shown = writes.slice(0, 5).join(', ');
  return `${writes.length} acknowledged ${writes.length === 1 ? 'write' : 'writes'} (${shown}${writes.length > 5 ? ', …' : ''})`;
}
