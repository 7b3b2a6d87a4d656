/**
 * cache-manager 7.2 over Keyv: Redis, and memory (cacheable's, without clones) before it. It has no way to tell
 * other processes, so its memory is used only where no other process writes.
 */
import { importPeer } from '../import-peer.ts';
import type { CacheableModule, KeyvRedisModule } from './cacheable.ts';
import { nearEntries, type Subject, type SubjectOptions } from './subject.ts';

export interface CacheManager {
  get<V>(key: string): Promise<V | undefined>;
  wrap<V>(key: string, load: () => Promise<V>, ttlMs: number): Promise<V>;
  del(key: string): Promise<boolean>;
  disconnect(): Promise<unknown>;
}
interface CacheManagerModule {
  createCache(options: { stores: readonly unknown[]; ttl: number }): CacheManager;
}

export async function openCacheManager<V>(options: SubjectOptions<V>): Promise<Subject<V>> {
  const { engine, namespace, near, ttlMs, load } = options;
  const [{ createCache }, keyvRedis, { createKeyv }] = await Promise.all([
    importPeer<CacheManagerModule>('cache-manager'),
    importPeer<KeyvRedisModule>('@keyv/redis'),
    importPeer<CacheableModule>('cacheable'),
  ]);
  const far = keyvRedis.createKeyv(`redis://${engine.host}:${engine.port}`, { namespace });
  far.on('error', () => {});
  const memory = near ? [createKeyv({ lruSize: nearEntries, useClone: false, ttl: ttlMs })] : [];
  const cache = createCache({ stores: [...memory, far], ttl: ttlMs });
  return {
    get: (id) => cache.wrap<V | null>(String(id), () => load(id), ttlMs),
    async invalidate(id) {
      await cache.del(String(id));
    },
    async close() {
      await cache.disconnect();
    },
  };
}
