/**
 * layered-loader 14.2: memory ("lru-map", its recommendation for string keys) and Redis, with its notification
 * pair, which tells other processes of invalidations.
 */
import { importPeer } from '../import-peer.ts';
import { ioredisClient } from './ioredis-client.ts';
import { nearEntries, type Subject, type SubjectOptions } from './subject.ts';

export interface LayeredLoader<V> {
  init(): Promise<void>;
  get(key: string): Promise<V | null | undefined>;
  getInMemoryOnly(key: string): V | null | undefined;
  invalidateCacheFor(key: string): Promise<void>;
  close(): Promise<void>;
}
interface LayeredLoaderModule {
  readonly Loader: new <V>(options: object) => LayeredLoader<V>;
  readonly RedisCache: new (client: unknown, options: object) => unknown;
  createNotificationPair(options: { channel: string; publisherRedis: unknown; consumerRedis: unknown }): {
    readonly publisher: unknown;
    readonly consumer: unknown;
  };
}

export interface LayeredLoaderSubject<V> extends Subject<V> {
  readonly loader: LayeredLoader<V>;
}

export async function openLayeredLoader<V>(options: SubjectOptions<V>): Promise<LayeredLoaderSubject<V>> {
  const { engine, namespace, near, ttlMs, load } = options;
  const { Loader, RedisCache, createNotificationPair } =
    await importPeer<LayeredLoaderModule>('layered-loader');
  const client = await ioredisClient(engine);
  const clients = [client];
  let memory = {};
  if (near) {
    const [publisherRedis, consumerRedis] = await Promise.all([ioredisClient(engine), ioredisClient(engine)]);
    clients.push(publisherRedis, consumerRedis);
    const pair = createNotificationPair({ channel: namespace, publisherRedis, consumerRedis });
    memory = {
      inMemoryCache: { cacheType: 'lru-map', ttlInMsecs: ttlMs, maxItems: nearEntries },
      notificationPublisher: pair.publisher,
      notificationConsumer: pair.consumer,
    };
  }
  const loader = new Loader<V>({
    ...memory,
    asyncCache: new RedisCache(client, { prefix: namespace, json: true, ttlInMsecs: ttlMs }),
    dataSourceGetOneFn: (key: string) => load(Number(key)),
    throwIfLoadError: true,
  });
  await loader.init();
  return {
    loader,
    get: async (id) => (await loader.get(String(id))) ?? null,
    invalidate: (id) => loader.invalidateCacheFor(String(id)),
    async close() {
      await loader.close().catch(() => {});
      for (const each of clients) each.disconnect();
    },
  };
}
