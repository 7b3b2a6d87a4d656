/**
 * cacheable 2.5: memory and Redis through Keyv, with its sync over @qified/redis (0.10, the last for Node 20).
 * `useClone: false` spares a copy at every hit; `throwErrors` lets a loader's error through (by default a read
 * whose loader fails gives undefined).
 */
import { importPeer } from '../import-peer.ts';
import { nearEntries, type Subject, type SubjectOptions } from './subject.ts';

interface Cacheable {
  on(event: 'error', listener: (error: Error) => void): unknown;
  getOrSet<V>(
    key: string,
    load: () => Promise<V>,
    options: { ttl: number; throwErrors: boolean },
  ): Promise<V>;
  delete(key: string): Promise<boolean>;
  disconnect(): Promise<void>;
}
export interface CacheableModule {
  readonly Cacheable: new (options: object) => Cacheable;
  /** A Keyv over memory that stores objects as they are. */
  createKeyv(options: { lruSize: number; useClone: boolean; ttl: number }): unknown;
}
export interface KeyvRedisModule {
  createKeyv(
    url: string,
    options: { namespace: string },
  ): { on(event: 'error', listener: () => void): unknown };
}
interface QifiedRedis {
  readonly RedisMessageProvider: new (options: {
    uri: string;
    id: string;
  }) => { connect(): Promise<void>; disconnect(): Promise<void> };
}

export async function openCacheable<V>(options: SubjectOptions<V>): Promise<Subject<V>> {
  const { engine, namespace, near, ttlMs, load } = options;
  const [{ Cacheable, createKeyv }, keyvRedis, { RedisMessageProvider }] = await Promise.all([
    importPeer<CacheableModule>('cacheable'),
    importPeer<KeyvRedisModule>('@keyv/redis'),
    importPeer<QifiedRedis>('@qified/redis'),
  ]);
  const uri = `redis://${engine.host}:${engine.port}`;
  const far = keyvRedis.createKeyv(uri, { namespace });
  far.on('error', () => {});
  const provider = near ? new RedisMessageProvider({ uri, id: `${namespace}.${process.pid}` }) : undefined;
  await provider?.connect();
  const cache = new Cacheable(
    provider === undefined
      ? { primary: far, ttl: ttlMs }
      : {
          primary: createKeyv({ lruSize: nearEntries, useClone: false, ttl: ttlMs }),
          secondary: far,
          namespace,
          sync: { qified: provider },
          ttl: ttlMs,
        },
  );
  cache.on('error', () => {});
  return {
    async get(id) {
      const value = await cache.getOrSet<V | null>(String(id), () => load(id), {
        ttl: ttlMs,
        throwErrors: true,
      });
      return value ?? null;
    },
    async invalidate(id) {
      await cache.delete(String(id));
    },
    async close() {
      await provider?.disconnect().catch(() => {});
      await cache.disconnect();
    },
  };
}
