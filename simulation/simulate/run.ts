/**
 * One run of a plan: real caches, real scripts, simulated database, network and time. Everything is decided by the
 * plan and its seed, so the same plan gives the same run; its trace is hashed to show it.
 *
 * Time is virtual: timers are fake, promises are the engine's own. After each timer everything that became possible
 * is let happen before the next.
 */
import { createHash } from 'node:crypto';
import { MemoryEngine, type RowChange } from '@larder/cache/testkit';
import { install } from '@sinonjs/fake-timers';
import { Database } from './database.ts';
import { Faults } from './faults.ts';
import { History, type Item, inWords, type List } from './history.ts';
import type { Mutation } from './mutants.ts';
import { groupCount, keyCount, longFreshMs, type Plan, type Read, readers, type Write } from './plan.ts';
import { boundMs, groupTag, listTag, openProcess, type Process, pause } from './process.ts';

/** Between the end of the plan, when all faults are over, and the last look. */
const quietMs = 1_200;
/** A load takes no longer, with its fill. */
const loadMs = 100;
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
  readonly staleHits: number;
  readonly refreshes: number;
  readonly loads: number;
  readonly commands: number;
  /** Times that a definition was made void as a whole. */
  readonly voided: number;
  readonly faults: Readonly<Record<string, number>>;
}

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
  readonly mutation: Mutation;
  readonly counts = { loads: 0, commands: 0 };
  readonly #trace = createHash('sha1');
  readonly #story: string[] | undefined;
  readonly #faults: Faults;
  #reads = 0;
  #writes = 0;
  readonly #invalidators: Invalidator[] = [];
  #pendingReads = 0;

  constructor(plan: Plan, mutation: Mutation, tellStory: boolean, now: () => number) {
    this.plan = plan;
    this.mutation = mutation;
    this.#clockNow = now;
    this.#story = tellStory ? [] : undefined;
    this.engine = new MemoryEngine({ clock: { nowMs: now }, replicas: 1 });
    this.database = new Database(this.history, this.nowMs, plan.setup.changes === 'events');
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
    const total = (of: 'nearHits' | 'farHits' | 'staleHits' | 'refreshes'): number =>
      stats.reduce((sum, each) => sum + each[of], 0);
    return {
      violations: this.history.violations,
      trace: this.#trace.digest('hex'),
      story: this.#story ?? [],
      reads: this.#reads,
      writes: this.#writes,
      nearHits: total('nearHits'),
      farHits: total('farHits'),
      staleHits: total('staleHits'),
      refreshes: total('refreshes'),
      ...this.counts,
      voided: this.#invalidators.reduce((sum, each) => sum + each.status().definitionsVoided, 0),
      faults: this.#faults.counts,
    };
  }

  async #play(): Promise<void> {
    const { plan } = this;
    for (let index = 0; index < readers; index += 1) {
      const replicas = plan.setup.replicas[index]!;
      this.#open({ name: `process ${index}`, near: index < readers - 1, replicas, consumes: false });
    }
    if (plan.setup.changes === 'feed') {
      await this.openConsumer();
      await this.openConsumer();
    }
    await pause(30);
    const offset = this.nowMs();
    const at = (ms: number, step: () => void): void => {
      setTimeout(step, ms);
    };
    for (const read of plan.reads) at(read.atMs, () => this.#read(read));
    for (const write of plan.writes) at(write.atMs, () => void this.#write(write));
    for (const fault of plan.faults) at(fault.atMs, () => this.#faults.begin(fault));
    const { replicaLagMs } = plan.setup;
    if (replicaLagMs > 0) this.#faults.lag(replicaLagMs);
    await pause(plan.durationMs);
    this.#faults.endAll();
    this.log(`everything is healed, ${this.nowMs() - offset} ms after the begin`);
    await pause(quietMs);
    await this.#lastLook();
    await Promise.all(this.processes.map(({ cache }) => cache.close()));
    this.over = true;
  }

  #open(options: Parameters<typeof openProcess>[1]): Process {
    const process = openProcess(this, options);
    this.processes.push(process);
    return process;
  }

  async openConsumer(): Promise<Process> {
    const name = `consumer ${this.processes.length - readers}`;
    const process = this.#open({ name, near: false, replicas: false, consumes: true });
    const { maxKeysPerTransaction } = this.plan.setup;
    const invalidator = process.cache.invalidator(process.source!, { maxKeysPerTransaction });
    this.#invalidators.push(invalidator);
    await invalidator.start();
    return process;
  }

  async #write(write: Write): Promise<void> {
    this.#writes += 1;
    await this.database.write(write, this.log, (changes) => this.#deliver(write, changes));
    if (write.invalidates === undefined) return;
    const { from, by } = write.invalidates;
    const { item, cache, name } = this.processes[from]!;
    for (const { table, key, group } of write.rows) {
      // One that moved away is for the feed to tell.
      const tag = table === 'member' ? listTag(group!) : by === 'tag' ? groupTag(key) : undefined;
      this.log(`${name}: its application invalidates ${tag === undefined ? `key ${key}` : `tag ${tag}`}`);
      (tag === undefined ? item.invalidate(key) : cache.invalidateTag(tag)).catch(() => {});
    }
  }

  /** As a queue does: until it is confirmed, and sometimes once more. Resolves when it was confirmed. */
  async #deliver({ event }: Write, changes: readonly RowChange[]): Promise<void> {
    if (this.plan.setup.changes === 'feed') return;
    const { cache, name } = this.processes[event.to]!;
    const { beforeCommit } = event;
    for (;;) {
      try {
        await cache.applyEvents(changes, { beforeCommit });
        break;
      } catch {
        await pause(20);
      }
    }
    this.log(`${name}: the events are applied${beforeCommit ? ', which came before the commit' : ''}`);
    if (event.again) setTimeout(() => cache.applyEvents(changes, { beforeCommit }).catch(() => {}), 60);
  }

  #read({ process: index, of, key }: Read): void {
    const { name, ...process } = this.processes[index]!;
    const definition: Readable = process[of];
    const beganAtMs = this.nowMs();
    const near = definition.near(key);
    this.#pendingReads += 1;
    void (near ? Promise.resolve(near) : definition.get(key)).then(
      (value) => {
        this.#reads += 1;
        this.#pendingReads -= 1;
        const how = near ? 'near' : `begun at ${beganAtMs}`;
        this.log(`${name}: read ${inWords(value!)} (${how})`);
        this.history.checkRead(value!, { process: index, beganAtMs, nowMs: this.nowMs() });
      },
      (error: unknown) => {
        this.#pendingReads -= 1;
        this.history.violations.push(
          `${this.nowMs()} ms: ${name}: a read of ${of} ${key} failed: ${String(error)}`,
        );
      },
    );
  }

  /** After quiescence everything reads fresh in every process, and from the cache. */
  async #lastLook(): Promise<void> {
    if (this.#pendingReads > 0) this.history.violations.push(`${this.#pendingReads} reads never ended`);
    for (const process of this.processes.slice(0, readers)) {
      for (let key = 0; key < keyCount; key += 1) {
        await this.#lookAt(process, process.item, key, () => this.database.item(key));
      }
      for (let group = 0; group < groupCount; group += 1) {
        await this.#lookAt(process, process.list, group, () => this.database.list(group));
      }
    }
  }

  async #lookAt(
    { name, cache }: Process,
    definition: Readable,
    key: number,
    now: () => Item | List,
  ): Promise<void> {
    const { violations } = this.history;
    const { freshMs, staleMs } = this.plan.setup;
    const first = await definition.get(key);
    const ageMs = this.nowMs() - this.history.loadedAtMs(first!);
    // What was loaded before everything healed must have ended long ago.
    if (freshMs + staleMs < quietMs / 2 && ageMs > quietMs - loadMs) {
      violations.push(`at the end ${name} reads ${inWords(first!)}, which was loaded ${ageMs} ms before`);
    }
    const { loads } = cache.stats();
    const value = await definition.get(key);
    this.log(`${name}: at the end ${inWords(value!)}`);
    if (JSON.stringify(value) !== JSON.stringify(now())) {
      violations.push(`at the end ${name} reads ${inWords(value!)}; the database has ${inWords(now())}`);
    }
    // Without a feed nothing makes anew what was evicted of a partition's own keys: reads go to the database.
    const crippled = this.plan.setup.changes === 'events' && this.#faults.counts.evict !== undefined;
    if (cache.stats().loads > loads && freshMs === longFreshMs && !crippled) {
      violations.push(`at the end ${name} loads ${inWords(value!)} again instead of keeping it`);
    }
  }
}

/** Either definition. */
interface Readable {
  near(key: number): Item | List | null | undefined;
  get(key: number): Promise<Item | List | null>;
}

export type { Simulation };

type Invalidator = ReturnType<Process['cache']['invalidator']>;
