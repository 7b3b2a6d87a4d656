/** Ourselves. */
import { type Cache, createCache } from '@larder/cache';
import { ioredis } from '@larder/cache/ioredis';
import { nodeRedis } from '@larder/cache/node-redis';
import type { Subject, SubjectOptions } from './subject.ts';

type Watches = NonNullable<Parameters<Cache['define']>[0]['watches']>;

/** What is used of a definition beyond `Subject`. */
interface Definition<V> {
  near(id: number): V | null | undefined;
  get(id: number): Promise<V | null>;
  many(ids: readonly number[]): Promise<(V | null)[]>;
  invalidate(id: number): Promise<void>;
  explain(id: number): Promise<{ readonly tier: 'near' | 'far' | 'database' }>;
  readonly stats: { readonly farHits: number };
}

/** As `createCache` has it when nothing is said. */
export const defaultBoundMs = 250;

export interface LarderOptions<V> extends SubjectOptions<V> {
  readonly boundMs?: number;
  readonly driver?: 'node-redis' | 'ioredis';
  /** Tables whose changes the feed brings; the invalidator is somebody else's. None: `invalidate` alone. */
  readonly watches?: Watches;
  /** Default: the library's own 16. */
  readonly maxConcurrentLoads?: number;
}

export interface LarderSubject<V> extends Subject<V> {
  readonly cache: Cache;
  readonly definition: Definition<V>;
}

/** Without `ready`: an invalidator may have to start first. */
export function openLarder<V>(options: LarderOptions<V>): LarderSubject<V> {
  const { engine, namespace, near, ttlMs, load, watches = [], boundMs } = options;
  const driver = options.driver === 'ioredis' ? ioredis : nodeRedis;
  const cache = createCache({
    name: namespace,
    far: driver({ host: engine.host, port: engine.port }),
    ...(boundMs === undefined ? {} : { boundMs }),
    ...(near ? {} : { near: false as const }),
    loads: options.maxConcurrentLoads === undefined ? {} : { maxConcurrent: options.maxConcurrentLoads },
  });
  const definition: Definition<V> = cache.define<number, V>({
    name: 'row',
    key: (id) => id,
    load,
    freshMs: ttlMs,
    watches,
  });
  return {
    cache,
    definition,
    get: (id) => definition.get(id),
    invalidate: (id) => definition.invalidate(id),
    close: () => cache.close(),
  };
}
