/**
 * What people write by hand: GET, else load and SET; DEL after the commit. node-redis 6 sets a timer per command
 * as it comes, which costs several times the command, so that is off.
 */
import { importPeer } from '../import-peer.ts';
import type { Subject, SubjectOptions } from './subject.ts';

export interface NodeRedisClient {
  on(event: 'error', listener: (error: Error) => void): unknown;
  connect(): Promise<unknown>;
  get(key: string): Promise<string | null>;
  set(key: string, value: string, options: { readonly PX?: number; readonly EXAT?: number }): Promise<string>;
  del(key: string): Promise<number>;
  destroy(): void;
}

interface NodeRedis {
  createClient(options: object): NodeRedisClient;
}

/** Connected, without the per-command timer. */
export async function nodeRedisClient(engine: {
  readonly host: string;
  readonly port: number;
}): Promise<NodeRedisClient> {
  const { createClient } = await importPeer<NodeRedis>('redis');
  const client = createClient({
    socket: { host: engine.host, port: engine.port },
    commandOptions: { timeout: 0 },
  });
  // Its error event ends the process when nobody listens; the commands reject by themselves.
  client.on('error', () => {});
  await client.connect();
  return client;
}

export async function openAside<V>(options: SubjectOptions<V>): Promise<Subject<V>> {
  const { engine, namespace, ttlMs, load } = options;
  const client = await nodeRedisClient(engine);
  const key = (id: number): string => `${namespace}:${id}`;
  return {
    async get(id) {
      const text = await client.get(key(id));
      if (text !== null) return JSON.parse(text) as V | null;
      const value = await load(id);
      await client.set(key(id), JSON.stringify(value), { PX: ttlMs });
      return value;
    },
    async invalidate(id) {
      await client.del(key(id));
    },
    async close() {
      client.destroy();
    },
  };
}
