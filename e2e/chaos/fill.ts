/** Fills a primary with data nobody reads, by the way that customers go in. */
import { Redis } from 'ioredis';
import type { Place } from '../../testing/cache-client.ts';
import { waitFor } from '../../testing/wait-for.ts';

/** With what the engine puts before it, it just fits the 8 KiB that the allocator gives. */
const valueBytes = 8_000;
const keysPerScript = 500;
const atOnce = 4;
/** What the engine takes for a key and its entry beside the value is not counted: it ends above the wanted size. */
const script = `
local value = string.rep('x', tonumber(ARGV[2]))
for index = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1] .. index, value) end`;

/** Waits until the replicas have it too. */
export async function fill(endpoint: Place, bytes: number): Promise<void> {
  const client = new Redis({ ...endpoint, retryStrategy: () => 50 });
  client.on('error', () => {});
  try {
    const scripts = Math.ceil(bytes / (valueBytes * keysPerScript));
    for (let start = 0; start < scripts; start += atOnce) {
      const some = Array.from({ length: Math.min(atOnce, scripts - start) }, (_, index) =>
        client.eval(script, 1, `filling:${start + index}:`, keysPerScript, valueBytes),
      );
      await Promise.all(some);
    }
    await waitFor(
      async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]),
      (used) => used >= bytes,
      { what: `${bytes} bytes in memory` },
    );
  } finally {
    client.disconnect();
  }
}
