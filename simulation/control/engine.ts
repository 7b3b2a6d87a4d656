/**
 * One run of an engine: its role, its data as the history that made it, what it listens on, and what it answers to the
 * commands that the executor and the agent send. How replicas follow is in `replication.ts`.
 */
import type { ReplicationInfo, ServerInfo } from '@larder/engine/info';
import { type Incarnation, writeFence } from '@larder/fleet/host';
import type { Random } from '../random.ts';
import type { EventQueue } from './event-queue.ts';
import type { Network } from './network.ts';
import { acknowledge, breakLink, connectSoon, type Link, pump } from './replication.ts';
import type { Trace } from './trace.ts';

/** What the engines live in. */
export interface EngineWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: Network;
  readonly trace: Trace;
  readonly watcher: EngineWatcher;
  /** The one whose own address it is, if a process has it open. */
  engineAt(address: string): Engine | undefined;
  newHistory(): string;
  /** A promise was settled. */
  touched(): void;
}

/** Told what the invariants are about. */
export interface EngineWatcher {
  becamePrimary(engine: Engine): void;
  acknowledged(engine: Engine, write: number, address: string): void;
  replaced(engine: Engine): void;
  ended(engine: Engine): void;
}

/** A client's connection, as the engine has it. */
export interface ClientConnection {
  readonly address: string;
  open: boolean;
}

export type WriteReply = 'ok' | 'readonly' | 'noreplicas' | 'loading' | 'closed';

export interface EngineStart {
  readonly member: string;
  readonly shard: string;
  readonly nodeId: string;
  readonly address: string;
  readonly machine: number;
  readonly incarnation: Incarnation;
  readonly bound: readonly string[];
  readonly version: string;
  readonly generation: number;
}

/** Written to the stream to say that the primary lives: takes up an offset and is no data. */
export const ping = -1;
const pingEveryMs = 2_000;
const noHistory = '0'.repeat(40);

export class Engine {
  readonly start: EngineStart;
  readonly world: EngineWorld;
  condition: 'running' | 'stopped' | 'exiting' | 'gone' = 'running';
  stoppedAtMs = 0;
  role: 'primary' | 'replica' = 'primary';
  replicationId: string;
  previousReplicationId = noHistory;
  previousOffset = -1;
  /** Writes and pings in their order: its length is the offset. */
  log: number[] = [];
  keys = 0;
  loading = false;
  /** It may ask to go on from its offset. */
  resumable = false;
  fence = '0';
  bound: readonly string[];
  source: { readonly address: string; readonly port: number } | undefined;
  link: Link | undefined;
  followers: Link[] = [];
  /** Counts up over all engines whenever one becomes a primary. */
  reign = 0;
  beats = 0;
  onChange: () => void = () => {};
  connections: ClientConnection[] = [];
  #pausedUntilMs = 0;
  #held: (() => void)[] = [];
  #deferred: (() => void)[] = [];

  constructor(world: EngineWorld, start: EngineStart) {
    this.world = world;
    this.start = start;
    this.bound = start.bound;
    this.replicationId = world.newHistory();
  }

  get runs(): boolean {
    return this.condition === 'running';
  }

  /** It has a process whose memory holds its data. */
  get lives(): boolean {
    return this.condition === 'running' || this.condition === 'stopped';
  }

  get paused(): boolean {
    return this.world.queue.nowMs < this.#pausedUntilMs;
  }

  get fenced(): boolean {
    return this.fence === writeFence;
  }

  /** Whether a write that arrived now would be acknowledged. */
  get writable(): boolean {
    return this.runs && this.role === 'primary' && !this.loading && !this.fenced && !this.paused;
  }

  /** The engine does this when it comes to it: not while it is stopped, and never once it ends. */
  later(delayMs: number, run: () => void): void {
    this.world.queue.after(delayMs, () => this.#now(run));
  }

  #now(run: () => void): void {
    if (this.condition === 'stopped') this.#deferred.push(run);
    else if (this.condition === 'running') run();
  }

  // --- its process -----------------------------------------------------------------------------------------

  /** @param exitingMs how long its sockets stay open after it has executed its last instruction. */
  end(exitingMs: number): void {
    if (!this.lives) return;
    this.condition = 'exiting';
    this.#deferred = [];
    this.#held = [];
    // What is in the kernel's buffers may still arrive.
    for (const link of this.followers) if (this.world.random.chance(0.3)) link.cut = true;
    this.world.watcher.ended(this);
    this.onChange();
    this.world.queue.after(exitingMs, () => {
      this.condition = 'gone';
      for (const connection of this.connections) connection.open = false;
      for (const link of [...this.followers]) breakLink(link, 'primary');
      if (this.link !== undefined) breakLink(this.link, 'replica');
      this.onChange();
    });
  }

  halt(): void {
    if (this.condition !== 'running') return;
    this.condition = 'stopped';
    this.stoppedAtMs = this.world.queue.nowMs;
  }

  resume(): void {
    if (this.condition !== 'stopped') return;
    this.condition = 'running';
    const deferred = this.#deferred;
    this.#deferred = [];
    // A client's socket may be read before the service's.
    if (this.world.random.chance(0.5)) deferred.reverse();
    for (const run of deferred) this.#now(run);
    this.onChange();
  }

  // --- roles -----------------------------------------------------------------------------------------------

  /** It was started as a primary, or made one. */
  rule(): void {
    this.role = 'primary';
    this.world.watcher.becamePrimary(this);
    this.beats += 1;
    const { beats } = this;
    const beat = (): void => {
      if (this.role !== 'primary' || this.beats !== beats) return;
      if (!this.paused) this.append(ping);
      this.later(pingEveryMs, beat);
    };
    this.later(pingEveryMs, beat);
  }

  /** REPLICAOF NO ONE */
  promote(): void {
    if (this.loading) throw new Error('LOADING');
    if (this.role === 'primary') {
      // Fenced until now, and made to rule again.
      this.world.watcher.becamePrimary(this);
      return;
    }
    this.source = undefined;
    if (this.link !== undefined) breakLink(this.link, 'replica');
    this.previousReplicationId = this.replicationId;
    this.previousOffset = this.log.length;
    this.replicationId = this.world.newHistory();
    for (const link of [...this.followers]) breakLink(link, 'primary');
    this.rule();
  }

  /** REPLICAOF address port */
  follow(address: string, port: number): void {
    if (this.loading) throw new Error('LOADING');
    const { source } = this;
    if (this.role === 'replica' && source?.address === address && source.port === port) return;
    this.source = { address, port };
    if (this.role === 'primary') {
      this.role = 'replica';
      this.resumable = true;
      this.reign = 0;
      for (const link of [...this.followers]) breakLink(link, 'primary');
    }
    if (this.link !== undefined) breakLink(this.link, 'replica');
    connectSoon(this);
  }

  setFence(value: string): void {
    const lifted = this.fenced && value !== writeFence;
    this.fence = value;
    // It rules again, also after others who did meanwhile.
    if (lifted && this.role === 'primary') this.world.watcher.becamePrimary(this);
  }

  // --- data ------------------------------------------------------------------------------------------------

  append(entry: number): void {
    this.log.push(entry);
    if (entry !== ping) this.keys += 1;
    for (const link of this.followers) pump(link);
  }

  /** Everything it has is now what another had. */
  replaceData(log: number[]): void {
    this.log = log;
    this.keys = 0;
    for (const entry of log) if (entry !== ping) this.keys += 1;
    this.world.watcher.replaced(this);
  }

  /** A client's write has arrived. `reply` may be called much later: writes are held while it is paused. */
  write(connection: ClientConnection, write: number, reply: (reply: WriteReply) => void): void {
    if (!connection.open) return;
    if (this.loading) {
      reply('loading');
      return;
    }
    if (this.role === 'replica') {
      reply('readonly');
      return;
    }
    if (this.fenced) {
      reply('noreplicas');
      return;
    }
    if (this.paused) {
      this.#held.push(() => this.write(connection, write, reply));
      return;
    }
    this.append(write);
    this.world.watcher.acknowledged(this, write, connection.address);
    reply('ok');
  }

  #unpause(): void {
    this.#pausedUntilMs = 0;
    const held = this.#held;
    this.#held = [];
    for (const run of held) run();
  }

  // --- commands --------------------------------------------------------------------------------------------

  /** @throws what the engine would answer. */
  execute(command: readonly string[]): unknown {
    const [name, ...args] = command as readonly [string, ...string[]];
    switch (`${name} ${args[0] ?? ''}`.trimEnd()) {
      case 'REPLICAOF NO':
        return this.promote();
      case 'CLIENT PAUSE': {
        this.#pausedUntilMs = this.world.queue.nowMs + Number(args[1]);
        const untilMs = this.#pausedUntilMs;
        this.later(Number(args[1]), () => {
          if (this.#pausedUntilMs === untilMs) this.#unpause();
        });
        return 'OK';
      }
      case 'CLIENT UNPAUSE':
        return this.#unpause();
      case 'CLIENT KILL':
        this.#cutOff([args[args.indexOf('LADDR') + 1]!.split(':')[0]!]);
        return 0;
      case 'CONFIG GET':
        return [args[1], this.fence];
      case 'CONFIG SET':
        if (args[1] !== 'min-replicas-to-write') throw new Error(`CONFIG SET ${args[1]} is not simulated.`);
        this.setFence(args[2]!);
        return 'OK';
      case 'WAIT 100':
        for (const link of this.followers) acknowledge(link, this.world.network.delayMs() * 2);
        return 0;
    }
    if (name === 'REPLICAOF') return this.follow(args[0]!, Number(args[1]));
    throw new Error(`${command.join(' ')} is not simulated.`);
  }

  listen(addresses: readonly string[], dropped: readonly string[]): void {
    this.bound = addresses;
    this.#cutOff(dropped);
  }

  #cutOff(addresses: readonly string[]): void {
    for (const connection of this.connections) {
      if (addresses.includes(connection.address)) connection.open = false;
    }
    this.connections = this.connections.filter(({ open }) => open);
  }

  info(): ServerInfo {
    const { role, source, link } = this;
    const linkUp = link?.up === true;
    const replication: ReplicationInfo = {
      role,
      replicationId: this.replicationId,
      previousReplicationId: this.previousReplicationId,
      previousReplicationOffset: this.previousOffset,
      // A replica that has no primary and none to go on with says 1.
      offset: role === 'primary' || linkUp || this.resumable ? this.log.length : 1,
      syncInProgress: link !== undefined && !linkUp,
      replicas: this.followers.map(({ replica, up, acknowledged }) => ({
        address: replica.start.address,
        port: 6379,
        online: up,
        acknowledgedOffset: acknowledged ? Math.max(1, replica.log.length) : 0,
      })),
      ...(role === 'replica' &&
        source !== undefined && { primary: { address: source.address, port: source.port, linkUp } }),
    };
    return {
      runId: `${this.start.nodeId} ${this.start.incarnation.pid}`,
      version: this.start.version,
      pid: this.start.incarnation.pid,
      loading: this.loading,
      keys: this.loading ? 0 : this.keys,
      usedMemoryBytes: 1_000_000,
      replication,
    };
  }
}
