/** async-cache-dedupe 3.4 over Redis. It has one tier, and `clear(name, key)` ends an entry. TTLs are seconds. */
import { importPeer } from '../import-peer.ts';
import { ioredisClient } from './ioredis-client.ts';
import type { Subject, SubjectOptions } from './subject.ts';

interface DedupeCache {
  define(name: string, options: object, load: (id: number) => Promise<unknown>): DedupeCache;
  clear(name: string, key: number): Promise<void>;
  row(id: number): Promise<unknown>;
}
interface DedupeModule {
  createCache(options: {
    ttl: number;
    storage: { type: 'redis'; options: { client: unknown } };
  }): DedupeCache;
}

export async function openAsyncCacheDedupe<V>(options: SubjectOptions<V>): Promise<Subject<V>> {
  const { engine, namespace, ttlMs, load } = options;
  const { createCache } = await importPeer<DedupeModule>('async-cache-dedupe');
  const client = await ioredisClient(engine);
  const name = `${namespace}.row`;
  const ttl = Math.ceil(ttlMs / 1_000);
  const cache = createCache({ ttl, storage: { type: 'redis', options: { client } } });
  cache.define(name, {}, (id) => load(id));
  const read = (cache as unknown as Record<string, (id: number) => Promise<V | null>>)[name]!;
  return {
    // It takes 0, '' and null from Redis for absent; rows are objects.
    get: (id) => read.call(cache, id),
    invalidate: (id) => cache.clear(name, id),
    async close() {
      client.disconnect();
    },
  };
}
