/**
 * A writer that has nothing to do with the shop: SETs through the primary endpoint every 2 ms. The longest
 * time between two acknowledged writes is how long the group could not be written to.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CacheEndpoint } from './cache-group.ts';
import { openResp, type RespConnection } from './resp-connection.ts';

export interface WriteGap {
  readonly writeGapMs: number;
  /** Clock times of the acknowledged writes around the gap, in milliseconds since 1970. */
  readonly lastBeforeMs: number;
  readonly firstAfterMs: number;
  readonly acknowledged: number;
}

export interface WriteProbe {
  /** Clock time of the last acknowledged write; undefined before the first. */
  lastAcknowledgedMs(): number | undefined;
  /** Forgets the gaps so far: a busy machine can have had a longer one before anything was killed. */
  forgetGaps(): void;
  stop(): Promise<WriteGap>;
}

const pauseMs = 2;
// As patient as a client that wants to know soon; a reply here takes well below a millisecond.
const replyTimeoutMs = 100;
const key = 'sale:write-probe';

export function startWriteProbe(endpoint: CacheEndpoint): WriteProbe {
  let running = true;
  let connection: RespConnection | undefined;
  let acknowledged = 0;
  let previous: number | undefined;
  let longest = { writeGapMs: 0, lastBeforeMs: 0, firstAfterMs: 0 };

  async function write(): Promise<void> {
    connection ??= await openResp(endpoint, replyTimeoutMs);
    await connection.command(['SET', key, String(acknowledged + 1)], replyTimeoutMs);
    const now = performance.now();
    const gapMs = previous === undefined ? 0 : now - previous;
    if (gapMs > longest.writeGapMs) {
      const firstAfterMs = Date.now();
      longest = { writeGapMs: gapMs, lastBeforeMs: firstAfterMs - gapMs, firstAfterMs };
    }
    previous = now;
    acknowledged += 1;
  }

  const loop = (async () => {
    while (running) {
      await write().catch(() => {
        connection?.close();
        connection = undefined;
      });
      await sleep(pauseMs);
    }
    connection?.close();
  })();

  return {
    lastAcknowledgedMs: () =>
      previous === undefined ? undefined : Date.now() - (performance.now() - previous),
    forgetGaps() {
      longest = { writeGapMs: 0, lastBeforeMs: 0, firstAfterMs: 0 };
    },
    async stop() {
      running = false;
      await loop;
      return { ...longest, acknowledged };
    },
  };
}
