/** The ways of reading that are compared; each one's values are the same JSON of about 1 KB. */
import { importPeer } from '../import-peer.ts';
import { nodeRedisClient } from '../subjects/aside.ts';
import { ioredisClient } from '../subjects/ioredis-client.ts';
import { openLarder } from '../subjects/larder.ts';
import { openLayeredLoader } from '../subjects/layered-loader.ts';
import { peerConfiguration } from '../subjects/peer-configurations.ts';
import { nearEntries, type Subject, type SubjectOptions } from '../subjects/subject.ts';
import type { HitStart } from './hit-worker.ts';

export const nearVariants = [
  'Map.get',
  'lru-cache get',
  'larder near()',
  'layered-loader getInMemoryOnly()',
  'larder get',
  'layered-loader get',
  'cache-manager wrap',
  'cacheable getOrSet',
  'bentocache getOrSet',
] as const;

export const farVariants = [
  'node-redis GET + JSON.parse',
  'larder over node-redis',
  'ioredis GET + JSON.parse',
  'larder over ioredis',
  'layered-loader far',
  'async-cache-dedupe',
  'cache-manager',
  'bentocache far',
  'cachified',
] as const;

export type HitVariant = (typeof nearVariants)[number] | (typeof farVariants)[number];

export interface Hits {
  warm(): Promise<void>;
  /** Where the library has a read that isn't a promise. */
  readonly readSync?: (key: number) => unknown;
  readonly read: (key: number) => Promise<unknown>;
  loads(): number;
  close(): Promise<void>;
}

interface Product {
  readonly id: number;
  readonly name: string;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}

/** 917 to 950 bytes as JSON. */
export function productOf(id: number): Product {
  const attributes = Array.from({ length: 16 }, (_, index) => ({
    name: `attribute ${index}`,
    value: `value ${id} of ${index}`.padEnd(20, '.'),
  }));
  return { id, name: `Product number ${id}`, attributes };
}

export async function openHits({ variant, engine, keys }: HitStart): Promise<Hits> {
  let loads = 0;
  const options: SubjectOptions<Product> = {
    engine,
    // Only a letter or two each, for every library puts it into every key.
    namespace: `v${[...farVariants, ...nearVariants].indexOf(variant)}`,
    near: true,
    ttlMs: 3_600_000,
    load: async (id) => {
      loads += 1;
      return productOf(id);
    },
  };
  const count = (): number => {
    const since = loads;
    loads = 0;
    return since;
  };
  const of = (subject: Subject<Product>): Hits => ({
    read: subject.get,
    async warm() {
      for (let key = 0; key < keys; key += 1) await subject.get(key);
      count();
    },
    loads: count,
    close: subject.close,
  });

  switch (variant) {
    case 'Map.get': {
      const map = new Map(Array.from({ length: keys }, (_, key) => [String(key), productOf(key)]));
      return plain((key) => map.get(String(key)));
    }
    case 'lru-cache get': {
      const { LRUCache } = await importPeer<{
        LRUCache: new (
          o: object,
        ) => { get(key: string): Product | undefined; set(key: string, v: Product): void };
      }>('lru-cache');
      // With a time to live, as every cache here has one.
      const cache = new LRUCache({ max: nearEntries, ttl: options.ttlMs });
      for (let key = 0; key < keys; key += 1) cache.set(String(key), productOf(key));
      return plain((key) => cache.get(String(key)));
    }
    case 'larder near()':
    case 'larder get': {
      const larder = openLarder(options);
      await larder.cache.ready();
      const { definition } = larder;
      const hits = of(larder);
      return variant === 'larder get' ? hits : { ...hits, readSync: (key) => definition.near(key) };
    }
    case 'layered-loader getInMemoryOnly()':
    case 'layered-loader get': {
      const layered = await openLayeredLoader(options);
      const hits = of(layered);
      return variant === 'layered-loader get'
        ? { ...hits, read: (key) => layered.loader.get(String(key)) }
        : { ...hits, readSync: (key) => layered.loader.getInMemoryOnly(String(key)) };
    }
    case 'node-redis GET + JSON.parse': {
      const client = await nodeRedisClient(engine);
      return raw((key) => client.get(key), client.destroy.bind(client));
    }
    case 'ioredis GET + JSON.parse': {
      const client = await ioredisClient(engine);
      return raw((key) => client.get(key), client.disconnect.bind(client));
    }
    case 'larder over node-redis':
    case 'larder over ioredis': {
      const driver = variant === 'larder over ioredis' ? 'ioredis' : 'node-redis';
      const larder = openLarder({ ...options, near: false, driver });
      await larder.cache.ready();
      return of(larder);
    }
    case 'cache-manager wrap': {
      const { open } = peerConfiguration('cache-manager');
      return of(await open({ ...options, near: true }));
    }
    case 'cacheable getOrSet':
      return of(await peerConfiguration('cacheable').open(options));
    case 'bentocache getOrSet':
      return of(await peerConfiguration('bentocache').open(options));
    default: {
      const { open, near } = peerConfiguration(variant);
      return of(await open({ ...options, near }));
    }
  }

  function plain(readSync: (key: number) => unknown): Hits {
    const nothing = async (): Promise<void> => {};
    return { readSync, read: async (key) => readSync(key), warm: nothing, loads: count, close: nothing };
  }

  /** What the driver alone costs; the values are put there by another connection of the same kind. */
  function raw(get: (key: string) => Promise<string | null>, close: () => void): Hits {
    return {
      read: async (key) => JSON.parse((await get(`raw:${key}`)) ?? 'null'),
      async warm() {
        const client = await nodeRedisClient(engine);
        for (let key = 0; key < keys; key += 1) {
          await client.set(`raw:${key}`, JSON.stringify(productOf(key)), { PX: options.ttlMs });
        }
        client.destroy();
      },
      loads: count,
      close: async () => close(),
    };
  }
}
