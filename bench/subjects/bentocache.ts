/**
 * bentocache 1.6: memory and Redis with its Redis bus. Its timeouts and grace are off, as they come. The faster
 * `serialize: false` of its memory is not used here: with it, 1.6.1 throws out of the bus's message handler when
 * another process invalidates, which ends the process.
 */
import { importPeer } from '../import-peer.ts';
import { nearEntries, type Subject, type SubjectOptions } from './subject.ts';

interface Store {
  useL1Layer(driver: unknown): Store;
  useL2Layer(driver: unknown): Store;
  useBus(driver: unknown): Store;
}
interface BentoCache {
  getOrSet<V>(options: { key: string; ttl: number; factory: () => Promise<V> }): Promise<V>;
  delete(options: { key: string }): Promise<boolean>;
  disconnectAll(): Promise<void>;
}
interface BentoModule {
  readonly BentoCache: new (options: { default: string; stores: Record<string, Store> }) => BentoCache;
  readonly bentostore: (options: { prefix: string }) => Store;
}
interface RedisDrivers {
  redisDriver(options: { connection: object }): unknown;
  redisBusDriver(options: { connection: object }): unknown;
}
interface MemoryDrivers {
  memoryDriver(options: { maxItems: number }): unknown;
}

export async function openBentocache<V>(options: SubjectOptions<V>): Promise<Subject<V>> {
  const { engine, namespace, near, ttlMs, load } = options;
  const [bento, redis, memory] = await Promise.all([
    importPeer<BentoModule>('bentocache'),
    importPeer<RedisDrivers>('bentocache/drivers/redis'),
    importPeer<MemoryDrivers>('bentocache/drivers/memory'),
  ]);
  const connection = { host: engine.host, port: engine.port };
  const store = bento.bentostore({ prefix: namespace });
  if (near) {
    store.useL1Layer(memory.memoryDriver({ maxItems: nearEntries }));
    store.useBus(redis.redisBusDriver({ connection }));
  }
  store.useL2Layer(redis.redisDriver({ connection }));
  const cache = new bento.BentoCache({ default: 'rows', stores: { rows: store } });
  return {
    get: (id) => cache.getOrSet<V | null>({ key: String(id), ttl: ttlMs, factory: () => load(id) }),
    async invalidate(id) {
      await cache.delete({ key: String(id) });
    },
    close: () => cache.disconnectAll(),
  };
}
