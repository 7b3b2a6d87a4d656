/** cachified 5.6 with cachified-redis-adapter 2.0 over node-redis, whose per-command timer is off. One tier. */
import { importPeer } from '../import-peer.ts';
import { nodeRedisClient } from './aside.ts';
import type { Subject, SubjectOptions } from './subject.ts';

interface CachifiedModule {
  cachified<V>(options: {
    key: string;
    cache: unknown;
    ttl: number;
    getFreshValue: () => Promise<V>;
  }): Promise<V>;
}
interface AdapterModule {
  redisCacheAdapter(client: unknown): { delete(key: string): Promise<unknown> };
}

export async function openCachified<V>(options: SubjectOptions<V>): Promise<Subject<V>> {
  const { engine, namespace, ttlMs, load } = options;
  const [{ cachified }, { redisCacheAdapter }] = await Promise.all([
    importPeer<CachifiedModule>('@epic-web/cachified'),
    importPeer<AdapterModule>('cachified-redis-adapter'),
  ]);
  const client = await nodeRedisClient(engine);
  const cache = redisCacheAdapter(client);
  const key = (id: number): string => `${namespace}:${id}`;
  return {
    get: (id) => cachified<V | null>({ key: key(id), cache, ttl: ttlMs, getFreshValue: () => load(id) }),
    async invalidate(id) {
      await cache.delete(key(id));
    },
    async close() {
      client.destroy();
    },
  };
}
