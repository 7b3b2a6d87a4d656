/**
 * For tests of code that uses the cache, without any server: an engine in memory that runs the real scripts, a
 * source of changes that you play by hand, a clock that stands still, and every fault at a call. See
 * example.test.ts beside this file. Needs `fengari` as a development dependency.
 */
import { type Cache, type CacheOptions, createCache } from '../cache.ts';
import type { DefinitionOptions } from '../definition.ts';
import { FakeClock } from './fake-clock.ts';
import { MemoryEngine } from './memory-engine.ts';
import { MemorySource } from './memory-source.ts';

export type { Driver, NodeAddress } from '../driver/driver.ts';
export type { ChangeSink, ChangeSource, Horizon, RowChange } from '../feed/source.ts';
export { FakeClock } from './fake-clock.ts';
export { type DriverFaults, type Fate, type FaultyDriver, faultyDriver } from './faulty-driver.ts';
export { type FaultySource, faultySource, type SourceFaults } from './faulty-source.ts';
export { libraryScripts, type Script } from './library-scripts.ts';
export { MemoryEngine, type MemoryEngineOptions, type MessageFilter } from './memory-engine.ts';
export { MemorySource, type MemorySourceOptions, type MemoryTransaction } from './memory-source.ts';

export interface TestBedOptions {
  /** Of the caches, as in `createCache`. */
  readonly cache?: Partial<Omit<CacheOptions, 'far' | 'clock'>>;
  /** Of the engine. Default 0. */
  readonly replicas?: number;
}

/** Everything together: caches as of several processes, over one engine, one source and one clock. */
export class TestBed {
  readonly clock = new FakeClock();
  readonly engine: MemoryEngine;
  readonly changes: MemorySource;
  readonly #options: TestBedOptions;
  readonly #caches: Cache[] = [];

  constructor(options: TestBedOptions = {}) {
    this.#options = options;
    this.engine = new MemoryEngine({ clock: this.clock, replicas: options.replicas ?? 0 });
    this.changes = new MemorySource({ nowMs: () => this.clock.nowMs() });
  }

  /** A cache as another process would have it. */
  cache(): Cache {
    const cache = createCache({
      name: 'test',
      ...this.#options.cache,
      far: this.engine.driver(),
      clock: this.clock,
    });
    this.#caches.push(cache);
    return cache;
  }

  /** Carries `changes` to this cache and its peers, and resolves when reads can be served from the cache. */
  async follow(cache: Cache): Promise<void> {
    await cache.invalidator(this.changes).start();
    await cache.ready();
  }

  /** Resolves when everything that was committed so far is applied, visible and acknowledged. */
  async settled(): Promise<void> {
    const wanted = this.changes.position;
    for (let look = 0; this.changes.acknowledged < wanted; look += 1) {
      if (look > 2_000)
        throw new Error('The changes did not arrive: is one not visible, or the stream withheld?');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Closes every cache. */
  async close(): Promise<void> {
    await Promise.all(this.#caches.splice(0).map((cache) => cache.close()));
  }
}

/** A definition's options with the loader counted, to see what the database is asked. */
export function counted<A, V>(
  options: DefinitionOptions<A, V>,
): DefinitionOptions<A, V> & { readonly loaded: readonly A[] } {
  const loaded: A[] = [];
  return {
    ...options,
    loaded,
    load: (argument, context) => {
      loaded.push(argument);
      return options.load(argument, context);
    },
  };
}
