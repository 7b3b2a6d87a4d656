/**
 * One run of a plan: real caches, real scripts, simulated database, network and time. Everything is decided by the
 * plan and its seed, so the same plan gives the same run; its trace is hashed to show it.
 *
 * Time is virtual: timers are fake, promises are the engine's own. After each timer everything that became possible
 * is let happen before the next.
 */
import { createHash } from 'node:crypto';
import { type Cache, createCache } from '@larder/cache';
import {
  type Driver,
  type FaultyDriver,
  type FaultySource,
  faultyDriver,
  faultySource,
  MemoryEngine,
} from '@larder/cache/testkit';
import { install } from '@sinonjs/fake-timers';
import { Database } from './database.ts';
import { Faults, type Network } from './faults.ts';
import { History, type Item } from './history.ts';
import type { Mutation } from './mutants.ts';
import { keyCount, type Plan, readers } from './plan.ts';
import { randomOf } from './random.ts';
import { spyDriver } from './spy-driver.ts';

export const boundMs = 100;
/** Between the end of the plan, when all faults are over, and the last look. */
const quietMs = 1_200;
const startMs = Date.UTC(2026, 0, 1);
/** More timers than this mean that something runs away. */
const maxTimers = 200_000;

export interface Outcome {
  readonly violations: readonly string[];
  /** Hex digest of everything that happened, in order. */
  readonly trace: string;
  /** What happened, if it was asked for. */
  readonly story: readonly string[];
  readonly reads: number;
  readonly writes: number;
  readonly nearHits: number;
  readonly farHits: number;
  readonly loads: number;
  readonly commands: number;
  readonly faults: Readonly<Record<string, number>>;
}

export interface Process {
  readonly name: string;
  readonly cache: Cache;
  readonly driver: FaultyDriver;
  readonly network: Network;
  readonly item: Pick<Definition<number, Item>, 'near' | 'get' | 'invalidate'>;
  readonly source: FaultySource | undefined;
}

type Definition<A, V> = ReturnType<typeof Cache.prototype.define<A, V>>;

export interface RunOptions {
  readonly mutation?: Mutation;
  /** Keeps the story; costs memory. */
  readonly tellStory?: boolean;
}

export async function run(
  plan: Plan,
  { mutation = {}, tellStory = false }: RunOptions = {},
): Promise<Outcome> {
  const afterMicrotasks = (
    (immediate) => () =>
      new Promise<void>((resolve) => immediate(resolve))
  )(setImmediate);
  const clock = install({
    now: startMs,
    toFake: [
      'setTimeout',
      'clearTimeout',
      'setInterval',
      'clearInterval',
      'setImmediate',
      'clearImmediate',
      'Date',
    ],
  });
  try {
    const simulation = new Simulation(plan, mutation, tellStory, () => clock.now);
    simulation.begin();
    for (let timers = 0; !simulation.over; timers += 1) {
      await afterMicrotasks();
      if (timers > maxTimers) throw new Error(`Seed ${plan.seed} does not come to an end.`);
      if (!simulation.over) clock.next();
    }
    await afterMicrotasks();
    return simulation.outcome();
  } finally {
    clock.uninstall();
  }
}

class Simulation {
  over = false;
  readonly plan: Plan;
  readonly engine: MemoryEngine;
  readonly database: Database;
  readonly history = new History(boundMs);
  readonly processes: Process[] = [];
  readonly #clockNow: () => number;
  readonly #mutation: Mutation;
  readonly #trace = createHash('sha1');
  readonly #story: string[] | undefined;
  readonly #faults: Faults;
  #reads = 0;
  #writes = 0;
  #loads = 0;
  #commands = 0;
  #pendingReads = 0;

  constructor(plan: Plan, mutation: Mutation, tellStory: boolean, now: () => number) {
    this.plan = plan;
    this.#mutation = mutation;
    this.#clockNow = now;
    this.#story = tellStory ? [] : undefined;
    this.engine = new MemoryEngine({ clock: { nowMs: now }, replicas: 1 });
    this.database = new Database(this.history, this.nowMs);
    this.#faults = new Faults(this);
  }

  readonly nowMs = (): number => this.#clockNow() - startMs;

  readonly log = (text: string, inStory = true): void => {
    const line = `${String(this.nowMs()).padStart(5)} ms  ${text}`;
    this.#trace.update(`${line}\n`);
    if (inStory) this.#story?.push(line);
  };

  begin(): void {
    this.#play().catch((error: unknown) => {
      this.history.violations.push(`The run failed: ${error instanceof Error ? error.stack : String(error)}`);
      this.over = true;
    });
  }

  outcome(): Outcome {
    const stats = this.processes.map(({ cache }) => cache.stats());
    return {
      violations: this.history.violations,
      trace: this.#trace.digest('hex'),
      story: this.#story ?? [],
      reads: this.#reads,
      writes: this.#writes,
      nearHits: stats.reduce((sum, { nearHits }) => sum + nearHits, 0),
      farHits: stats.reduce((sum, { farHits }) => sum + farHits, 0),
      loads: this.#loads,
      commands: this.#commands,
      faults: this.#faults.counts,
    };
  }

  async #play(): Promise<void> {
    const { plan } = this;
    for (let index = 0; index < readers; index += 1)
      this.open(`process ${index}`, index === readers - 1, false);
    await this.openConsumer();
    await this.openConsumer();
    await pause(30);
    const offset = this.nowMs();
    const at = (ms: number, step: () => void): void => {
      setTimeout(step, ms);
    };
    for (const read of plan.reads) at(read.atMs, () => this.#read(read.process, read.key));
    for (const write of plan.writes) {
      at(write.atMs, () => {
        this.#writes += 1;
        void this.database.write(write, this.log).then(() => {
          const from = write.invalidatesFrom;
          if (from === undefined) return;
          this.log(`process ${from}: invalidates key ${write.key}`);
          this.processes[from]!.item.invalidate(write.key).catch(() => {});
        });
      });
    }
    for (const fault of plan.faults) at(fault.atMs, () => this.#faults.begin(fault));
    await pause(plan.durationMs);
    this.#faults.endAll();
    this.log(`everything is healed, ${this.nowMs() - offset} ms after the begin`);
    await pause(quietMs);
    await this.#lastLook();
    await Promise.all(this.processes.map(({ cache }) => cache.close()));
    this.over = true;
  }

  /** A process with a cache; `consumes`: it can carry the feed. */
  open(name: string, withoutNear: boolean, consumes: boolean): Process {
    const random = randomOf(this.plan.seed).stream(name);
    const network: Network = { slow: 1, lossy: false };
    const delay = random.stream('network');
    const spied: Driver = spyDriver(this.engine.driver(), {
      now: this.nowMs,
      history: this.history,
      ran: (text, told) => {
        this.#commands += 1;
        this.log(`${name}: ${text}`, told);
      },
    });
    const mutated = this.#mutation.driver?.() ?? {};
    const driver = faultyDriver(spied, {
      ...mutated,
      delayMs: () => {
        if (delay.chance(0.5)) return 0;
        return delay.between(0, delay.chance(0.02) ? 25 : 2) * network.slow;
      },
      fate: () => {
        if (!network.lossy || delay.chance(0.7)) return 'ok';
        return delay.chance(0.5) ? 'replyLost' : 'fail';
      },
    });
    const cache = createCache({
      name: 'sim',
      far: driver,
      boundMs,
      near: withoutNear ? false : { maxBytes: 2 ** 20 },
      farTimeoutMs: 40,
      clock: { nowMs: this.nowMs },
      random: random.stream('cache').next,
    });
    const load = random.stream('loader');
    const item = cache.define<number, Item>({
      name: 'item',
      key: String,
      load: async (key) => {
        this.#loads += 1;
        await pause(load.between(0, 3));
        const value = this.database.read(key);
        this.log(`${name}: its loader reads key ${key}: left ${value.left}, right ${value.right}`);
        await pause(load.between(0, load.chance(0.2) ? 40 : 3));
        return value;
      },
      watches: [
        { table: 'public.left', key: ({ id }) => id },
        { table: 'public.right', key: ({ id }) => id },
      ],
    });
    const inner = consumes ? this.#consumer() : undefined;
    const feed = random.stream('feed');
    const source =
      inner === undefined
        ? undefined
        : faultySource(inner, {
            ...this.#mutation.source,
            delayMs: (what) => (feed.chance(0.7) ? 0 : feed.between(0, what === 'event' ? 3 : 5)),
          });
    const process: Process = { name, cache, driver, network, item, source };
    this.processes.push(process);
    return process;
  }

  async openConsumer(): Promise<Process> {
    const name = `consumer ${this.processes.length - readers}`;
    const process = this.open(name, true, true);
    await process.cache.invalidator(process.source!).start();
    return process;
  }

  #consumer(): ReturnType<MemorySource['standby']> {
    const source = this.database.source.standby();
    return this.#mutation.wrapSource?.(source) ?? source;
  }

  #read(index: number, key: number): void {
    const { item, name } = this.processes[index]!;
    const beganAtMs = this.nowMs();
    const near = item.near(key);
    this.#pendingReads += 1;
    void (near ? Promise.resolve(near) : item.get(key)).then(
      (value) => {
        this.#reads += 1;
        this.#pendingReads -= 1;
        const how = near ? 'near' : `begun at ${beganAtMs}`;
        this.log(`${name}: read key ${key} (${how}): left ${value!.left}, right ${value!.right}`);
        this.history.checkRead(value!, { process: index, beganAtMs, nowMs: this.nowMs() });
      },
      (error: unknown) => {
        this.#pendingReads -= 1;
        this.history.violations.push(
          `${this.nowMs()} ms: ${name}: a read of key ${key} failed: ${String(error)}`,
        );
      },
    );
  }

  /** After quiescence every key reads fresh in every process, and from the cache. */
  async #lastLook(): Promise<void> {
    if (this.#pendingReads > 0) this.history.violations.push(`${this.#pendingReads} reads never ended`);
    for (let key = 0; key < keyCount; key += 1) {
      for (const { item, name, cache } of this.processes.slice(0, readers)) {
        await item.get(key);
        const loads = cache.stats().loads;
        const value = await item.get(key);
        const wanted = this.database.read(key);
        this.log(`${name}: at the end key ${key}: left ${value?.left}, right ${value?.right}`);
        if (value?.left !== wanted.left || value.right !== wanted.right) {
          this.history.violations.push(
            `at the end ${name} reads key ${key} with left ${value?.left}, right ${value?.right}; ` +
              `the database has left ${wanted.left}, right ${wanted.right}`,
          );
        }
        if (cache.stats().loads > loads) {
          this.history.violations.push(`at the end ${name} loads key ${key} again instead of keeping it`);
        }
      }
    }
  }
}

export type { Simulation };

type MemorySource = Database['source'];

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
