/** A process: a cache with its definitions, over a network and perhaps a feed that have faults. */
import { type Cache, type Database as CacheDatabase, createCache } from '@larder/cache';
import {
  type FaultyDriver,
  type FaultySource,
  faultyDriver,
  faultySource,
  type MemoryEngine,
} from '@larder/cache/testkit';
import { type Random, randomOf } from '../random.ts';
import type { Database } from './database.ts';
import { type History, type Item, inWords, type List } from './history.ts';
import { type Mutation, WireScripts } from './mutants.ts';
import { groupCount, type Plan } from './plan.ts';
import { spyDriver } from './spy-driver.ts';

export const boundMs = 100;

/** How a process's network is at the moment. */
export interface Network {
  /** Factor on all delays. */
  slow: number;
  /** Commands fail, or their replies are lost. */
  lossy: boolean;
}

type Definition<V> = ReturnType<typeof Cache.prototype.define<number, V>>;

export interface Process {
  readonly name: string;
  readonly cache: Cache;
  readonly driver: FaultyDriver;
  readonly network: Network;
  readonly item: Definition<Item>;
  readonly list: Definition<List>;
  readonly source: FaultySource | undefined;
}

/** What is around it. */
export interface Surroundings {
  readonly plan: Plan;
  readonly mutation: Mutation;
  readonly engine: MemoryEngine;
  readonly database: Database;
  readonly history: History;
  readonly nowMs: () => number;
  readonly log: (text: string, inStory?: boolean) => void;
  readonly counts: { loads: number; commands: number };
}

export interface ProcessOptions {
  readonly name: string;
  readonly near: boolean;
  /** Reads from replicas of the engine. */
  readonly replicas: boolean;
  /** It can carry the feed. */
  readonly consumes: boolean;
}

export function openProcess(around: Surroundings, options: ProcessOptions): Process {
  const { plan, mutation, engine, nowMs } = around;
  const { name, consumes } = options;
  const random = randomOf(plan.seed).stream(name);
  const network: Network = { slow: 1, lossy: false };
  const driver = openDriver(around, { name, network, random });
  const [replica] = engine.replicaAddresses;
  const cache = createCache({
    name: 'sim',
    far: mutation.wrapDriver?.(driver, replica!) ?? driver,
    boundMs,
    near: options.near ? { maxBytes: 2 ** 20 } : false,
    farTimeoutMs: 40,
    clock: { nowMs },
    random: random.stream('cache').next,
    ...(plan.setup.changes === 'events' ? { guarantee: 'eventual', database: databaseOf(around) } : {}),
    ...(options.replicas ? { reads: { replicas: engine.replicaAddresses } } : {}),
  });
  const source = consumes ? openSource(around, random.stream('feed')) : undefined;
  const load = loaderOf(around, name, random.stream('loader'));
  return { name, cache, driver, network, source, ...definitionsOf(cache, around, load) };
}

function databaseOf({ database, mutation }: Surroundings): CacheDatabase {
  const asked = database.source.database();
  return mutation.wrapDatabase?.(asked) ?? asked;
}

type Loader = <V extends Item | List>(read: () => V) => Promise<V>;

function definitionsOf(
  cache: Cache,
  { plan, database }: Surroundings,
  load: Loader,
): Pick<Process, 'item' | 'list'> {
  const { freshMs, staleMs } = plan.setup;
  const item = cache.define<number, Item>({
    name: 'item',
    key: String,
    freshMs,
    staleMs,
    load: (key) => load(() => database.item(key)),
    tags: ({ key }) => [groupTag(key)],
    watches: [
      { table: 'public.left', key: ({ id }) => id },
      { table: 'public.right', key: ({ id }) => id },
    ],
  });
  const list = cache.define<number, List>({
    name: 'list',
    key: String,
    freshMs,
    staleMs,
    load: (group) => load(() => database.list(group)),
    tags: ({ group }) => [listTag(group)],
    watches: [{ table: 'public.member', tags: ({ group }) => [listTag(Number(group))] }],
  });
  return { item, list };
}

/** Of an item, for applications: no watch knows it. */
export function groupTag(key: number): string {
  return `group:${key % groupCount}`;
}

export function listTag(group: number): string {
  return `list:${group}`;
}

function loaderOf({ history, nowMs, log, counts }: Surroundings, name: string, random: Random): Loader {
  return async (read) => {
    counts.loads += 1;
    await pause(random.between(0, 3));
    const value = read();
    history.loaded(value, nowMs());
    log(`${name}: its loader reads ${inWords(value)}`);
    await pause(random.between(0, random.chance(0.2) ? 40 : 3));
    return value;
  };
}

function openDriver(
  { engine, history, mutation, nowMs, log, counts }: Surroundings,
  { name, network, random }: { readonly name: string; readonly network: Network; readonly random: Random },
): FaultyDriver {
  const delay = random.stream('network');
  const scripts = new WireScripts(mutation.scripts);
  const spied = spyDriver(engine.driver(), {
    now: nowMs,
    history,
    nameOf: (source) => scripts.nameOf(source),
    ran: (text, told) => {
      counts.commands += 1;
      log(`${name}: ${text}`, told);
    },
  });
  return faultyDriver(spied, {
    ...mutation.driver?.(),
    rewrite: (args) => scripts.rewrite(args),
    delayMs: () => {
      if (delay.chance(0.5)) return 0;
      return delay.between(0, delay.chance(0.02) ? 25 : 2) * network.slow;
    },
    fate: () => {
      if (!network.lossy || delay.chance(0.7)) return 'ok';
      return delay.chance(0.5) ? 'replyLost' : 'fail';
    },
  });
}

function openSource({ database, mutation }: Surroundings, random: Random): FaultySource {
  const source = database.source.standby();
  return faultySource(mutation.wrapSource?.(source) ?? source, {
    ...mutation.source,
    delayMs: (what) => (random.chance(0.7) ? 0 : random.between(0, what === 'event' ? 3 : 5)),
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
