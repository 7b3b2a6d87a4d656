/** Redis clients for tests, which look at engines from outside. */
import { Redis, type RedisOptions } from 'ioredis';

export interface Place {
  readonly Address?: string | undefined;
  readonly Port?: number | undefined;
}

export interface RedisClients {
  /** Reconnects for ever, so that a test can look at a node that comes back. */
  to(place: Place, options?: RedisOptions): Redis;
  close(): void;
}

export function redisClients(): RedisClients {
  const open: Redis[] = [];
  return {
    to(place, options = {}) {
      const client = new Redis({
        host: place.Address!,
        port: place.Port!,
        retryStrategy: () => 20,
        commandTimeout: 5_000,
        ...options,
      });
      client.on('error', () => {});
      open.push(client);
      return client;
    },
    close() {
      for (const client of open) client.disconnect();
    },
  };
}

/** One field of INFO. */
export async function infoField(client: Redis, field: string): Promise<string | undefined> {
  return new RegExp(`^${field}:(.*)$`, 'm').exec(await client.info())?.[1]?.trim();
}
