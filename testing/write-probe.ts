/** Writes without pause while something breaks, and remembers what was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Written {
  readonly acknowledged: readonly string[];
  /** The longest time between two acknowledgements. */
  readonly longestGapMs: number;
}

export interface WriteProbe {
  readonly count: number;
  /** Stops, after the write under way. */
  stop(): Promise<Written>;
}

/** @param write stores one key, with the key as its value; may fail, and is then tried with the next key. */
export function writeProbe(prefix: string, write: (key: string) => Promise<unknown>): WriteProbe {
  const acknowledged: string[] = [];
  let longestGapMs = 0;
  let lastMs = performance.now();
  let running = true;

  async function run(): Promise<void> {
    for (let index = 0; running; index += 1) {
      const key = `${prefix}:${index}`;
      try {
        await write(key);
        acknowledged.push(key);
        const now = performance.now();
        longestGapMs = Math.max(longestGapMs, now - lastMs);
        lastMs = now;
      } catch {
        await sleep(1);
      }
    }
  }
  const ended = run();
  return {
    get count() {
      return acknowledged.length;
    },
    async stop() {
      running = false;
      await ended;
      return { acknowledged, longestGapMs: Math.round(longestGapMs) };
    },
  };
}

/** Which of the keys `read` does not find with their values. */
export async function missingOf(
  keys: readonly string[],
  read: (keys: readonly string[]) => Promise<readonly (string | null)[]>,
): Promise<string[]> {
  const missing: string[] = [];
  for (let start = 0; start < keys.length; start += 500) {
    const some = keys.slice(start, start + 500);
    const values = await read(some);
    missing.push(...some.filter((key, index) => values[index] !== key));
  }
  return missing;
}
