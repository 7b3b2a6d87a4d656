/**
 * An engine in memory: enough of Valkey for the library and for code built on it, with the real scripts run in a Lua
 * machine, replicas, and every fault at hand. Its `driver()` takes the place of `nodeRedis(...)` in `createCache`.
 *
 * One address is the primary's; replicas have others, and take no writes. Scripts are atomic, and their effects reach a replica as a whole, so a
 * replica that is promoted has a prefix of what the primary did.
 */
import type { Clock } from '../clock.ts';
import type {
  Driver,
  Link,
  NodeAddress,
  Subscriber,
  SubscriberEvents,
  SubscriberOptions,
} from '../driver/driver.ts';
import { keepConnected } from '../driver/keep-connected.ts';
import { MemoryNode } from './engine/memory-node.ts';
import { EngineError, toDriver } from './engine/reply.ts';

export interface MemoryEngineOptions {
  /** The engine's own clock, ms since 1970. Default the wall clock. */
  readonly clock?: Clock;
  /** Default 0. */
  readonly replicas?: number;
}

/** Messages to drop: how many of those published next, or those for which it answers true. */
export type MessageFilter = number | ((channel: string, text: string) => boolean);

interface Connection {
  readonly kind: 'commands' | 'subscription';
  readonly toReplica: boolean;
  /** Rejects what is in flight and breaks the connection. */
  readonly cut: (cause: Error) => void;
  readonly hear: (channel: string, text: string, sharded: boolean) => void;
}

const wallClock: Clock = { nowMs: () => Date.now() };

export class MemoryEngine {
  readonly address: NodeAddress = { host: 'memory', port: 6379 };
  /** For `reads: { replicas }` of a cache. */
  readonly replicaAddresses: readonly NodeAddress[];
  /** Added to the engine's clock: set it to make the clock jump. */
  clockOffsetMs = 0;
  /** Messages that were dropped so far. */
  dropped = 0;
  readonly #clock: Clock;
  #primary: MemoryNode;
  readonly #replicas: MemoryNode[];
  readonly #connections = new Set<Connection>();
  #up = true;
  #paused: (() => void)[] | undefined;
  #filter: MessageFilter = 0;

  constructor({ clock = wallClock, replicas = 0 }: MemoryEngineOptions = {}) {
    this.#clock = clock;
    this.#primary = this.#node();
    this.#replicas = Array.from({ length: replicas }, () => this.#node());
    this.replicaAddresses = this.#replicas.map((_, index) => ({ host: 'memory', port: 6380 + index }));
    this.#follow();
  }

  /** Any number of caches may share it; each opens connections of its own. */
  driver(): Driver {
    return {
      name: 'memory',
      clustered: false,
      nodes: [this.address],
      openLink: (node, events): Link => {
        const kept = keepConnected<MemoryLink>({
          node,
          events,
          create: (fail) => new MemoryLink(fail, this.#door('commands', node)),
          start: (link) => link.open(),
          destroy: (link) => link.close(),
        });
        return {
          send: (args) =>
            kept.current()?.send(args) ?? Promise.reject(new Error(`${node.host}:${node.port} is down.`)),
          reset: kept.reset,
          close: kept.close,
        };
      },
      openSubscriber: (node, options, events): Subscriber =>
        keepConnected<MemoryLink>({
          node,
          events,
          create: (fail) =>
            new MemoryLink(fail, this.#door('subscription', node), listenerOf(options, events)),
          start: (link) => link.open(),
          destroy: (link) => link.close(),
        }),
    };
  }

  /** Runs one command on the primary at once, past all faults; to look, and to prepare. Throws EngineError. */
  command(...words: readonly string[]): unknown {
    return toDriver(this.#primary.execute(words.map((word) => Buffer.from(word))));
  }

  get keys(): readonly string[] {
    return this.command('KEYS', '*') as string[];
  }

  // --- faults ---------------------------------------------------------------------------------------------

  /** From now on replicas receive nothing, until `catchUp`. */
  stopReplication(): void {
    for (const replica of this.#replicas) replica.following = false;
  }

  /** Replicas have everything again, and follow. */
  catchUp(): void {
    for (const replica of this.#replicas) replica.copyFrom(this.#primary);
  }

  /**
   * The primary dies; the first replica takes its address with what it has. The dead one comes back as a replica
   * with a copy, at the address that became free. Throws when there is no replica.
   */
  failOver(): void {
    const promoted = this.#replicas.shift();
    if (promoted === undefined) throw new Error('There is no replica: new MemoryEngine({ replicas: 1 }).');
    const dead = this.#primary;
    this.#primary = promoted;
    this.#replicas.unshift(dead);
    this.#follow();
    this.#up = true;
    this.#cut('The primary died.');
  }

  /** The primary dies with everything in it; nobody connects to it until `restart`. Replicas keep what they have. */
  kill(): void {
    this.#up = false;
    this.#primary.clear();
    for (const connection of [...this.#connections]) {
      if (!connection.toReplica) connection.cut(new Error('The engine died.'));
    }
  }

  /** Comes back empty; replicas that follow are empty then too. */
  restart(): void {
    this.#up = true;
    for (const replica of this.#replicas) if (replica.following) replica.copyFrom(this.#primary);
  }

  /** Nothing is executed or answered until `resume`; connections stay open. */
  pause(): void {
    this.#paused ??= [];
  }

  /** Executes what came in meanwhile, in order. */
  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const run of waiting) run();
  }

  /** As FLUSHALL does. */
  flush(): void {
    this.command('FLUSHALL');
  }

  /** Removes every key whose name ends so, as eviction would: `#stamps`, `#state`, `#beat`, or a key of yours. */
  evict(suffix: string): void {
    for (const key of this.keys) if (key.endsWith(suffix)) this.command('DEL', key);
  }

  /** Messages of pub/sub get lost between here and every subscriber. 0 ends it. */
  dropMessages(filter: MessageFilter): void {
    this.#filter = filter;
  }

  /** Breaks connections; they are opened again by themselves. */
  cutConnections(kind: 'commands' | 'subscriptions' | 'all' = 'all'): void {
    this.#cut('The connection was cut.', kind);
  }

  // --- inside ---------------------------------------------------------------------------------------------

  #node(): MemoryNode {
    return new MemoryNode({
      nowMs: () => this.#clock.nowMs() + this.clockOffsetMs,
      publish: (channel, text, sharded) => this.#publish(channel, text, sharded),
    });
  }

  #follow(): void {
    for (const replica of this.#replicas) replica.copyFrom(this.#primary);
    this.#primary.lead(this.#replicas);
  }

  #publish(channel: string, text: string, sharded: boolean): number {
    const lost = typeof this.#filter === 'number' ? this.#filter > 0 : this.#filter(channel, text);
    if (lost) {
      this.dropped += 1;
      if (typeof this.#filter === 'number') this.#filter -= 1;
      return 0;
    }
    const hearers = [...this.#connections].filter(({ kind }) => kind === 'subscription');
    for (const { hear } of hearers) hear(channel, text, sharded);
    return hearers.length;
  }

  #cut(reason: string, which: 'commands' | 'subscriptions' | 'all' = 'all'): void {
    for (const connection of [...this.#connections]) {
      const kind = connection.kind === 'commands' ? 'commands' : 'subscriptions';
      if (which === 'all' || which === kind) connection.cut(new Error(reason));
    }
  }

  /** The node that has the address now. */
  #at({ port }: NodeAddress): MemoryNode {
    const index = this.replicaAddresses.findIndex((address) => address.port === port);
    return this.#replicas[index] ?? this.#primary;
  }

  #door(kind: Connection['kind'], address: NodeAddress): Door {
    const toReplica = this.replicaAddresses.some(({ port }) => port === address.port);
    return {
      kind,
      toReplica,
      enter: (connection) => {
        this.#connections.add(connection);
        return () => this.#connections.delete(connection);
      },
      isUp: () => toReplica || this.#up,
      inTurn: (run) => {
        if (this.#paused === undefined) run();
        else this.#paused.push(run);
      },
      execute: (words) => toDriver(this.#at(address).execute(words.map((word) => Buffer.from(word)))),
    };
  }
}

/** What a connection may ask of the engine. */
interface Door {
  readonly kind: Connection['kind'];
  readonly toReplica: boolean;
  /** Returns how to leave. */
  readonly enter: (connection: Connection) => () => void;
  readonly isUp: () => boolean;
  /** Now, or when the engine is no longer paused. */
  readonly inTurn: (run: () => void) => void;
  /** Throws EngineError. */
  readonly execute: (words: readonly string[]) => unknown;
}

/** One connection of one life; keepConnected makes another when it ends. */
class MemoryLink {
  readonly #fail: (cause: Error) => void;
  readonly #door: Door;
  readonly #hear: Connection['hear'];
  readonly #inFlight = new Set<(cause: Error) => void>();
  #leave: () => void = () => {};
  #open = false;

  constructor(fail: (cause: Error) => void, door: Door, hear: Connection['hear'] = () => {}) {
    this.#fail = fail;
    this.#door = door;
    this.#hear = hear;
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#door.isUp()) {
        reject(new Error('Nobody listens there.'));
        return;
      }
      this.#door.inTurn(() => {
        this.#open = true;
        this.#leave = this.#door.enter({
          kind: this.#door.kind,
          toReplica: this.#door.toReplica,
          cut: (cause) => this.#fail(cause),
          hear: (channel, text, sharded) => this.#hear(channel, text, sharded),
        });
        resolve();
      });
    });
  }

  send(args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#open) {
        reject(new Error('The connection is closed.'));
        return;
      }
      this.#inFlight.add(reject);
      this.#door.inTurn(() => {
        // What was sent on a connection that has broken since is executed all the same, unless the engine died.
        if (!this.#door.isUp()) return;
        try {
          resolve(this.#door.execute(args));
        } catch (error) {
          reject(error instanceof EngineError ? new Error(error.message) : error);
        }
        this.#inFlight.delete(reject);
      });
    });
  }

  close(): void {
    this.#open = false;
    this.#leave();
    for (const reject of this.#inFlight) reject(new Error('The connection is closed.'));
    this.#inFlight.clear();
  }
}

function listenerOf({ channels, sharded }: SubscriberOptions, events: SubscriberEvents): Connection['hear'] {
  const wanted = new Set(channels);
  return (channel, text, shardedMessage) => {
    if (wanted.has(channel) && shardedMessage === sharded) events.message(channel, text);
  };
}
