import { Redis } from 'ioredis';
import type { Place } from './cache-client.ts';

/** One command by a connection of its own. */
export async function ask(
  { host, port }: Place,
  words: readonly [string, ...string[]],
  limitMs = 2_000,
): Promise<unknown> {
  const client = new Redis({
    host,
    port,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    commandTimeout: limitMs,
    connectTimeout: limitMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return await client.call(...words);
  } finally {
    client.disconnect();
  }
}
