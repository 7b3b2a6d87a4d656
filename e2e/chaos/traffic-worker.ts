/**
 * A process of its own, so that nothing but its own work delays what it measures: an ordinary client that writes and one
 * that reads, and one that holds on to the node that is the primary at the start.
 */
import { Redis } from 'ioredis';
import { nowMs, sleep } from '../../bench/monotonic.ts';
import { serve } from '../../bench/worker-service.ts';
import {
  type CacheClient,
  type ClientPlan,
  errorKind,
  openClient,
  type Place,
} from '../../testing/cache-client.ts';
import type { Reads, Write } from './history.ts';
import { atPace } from './pace.ts';

export interface TrafficStart {
  readonly client: ClientPlan;
  /** Begins the names of all keys. */
  readonly prefix: string;
  /** A hash tag for each shard; the first is the one that is hit. */
  readonly tags: readonly string[];
  readonly writesPerSecond: number;
  readonly primary: Place;
}

export interface TrafficProgress {
  readonly acknowledged: number;
  /** The last acknowledgement in the shard that is hit. */
  readonly lastAckMs: number;
}

export interface TrafficRecord {
  readonly writes: readonly Write[];
  readonly clinging: readonly Write[];
  /** When each answer to a read came, and which are older than one that had come before it was asked for. */
  readonly reads: Omit<Reads, 'gapMs'> & { readonly answeredMs: readonly number[] };
  readonly errors: Readonly<Record<string, number>>;
  readonly endedMs: number;
}

export interface Missing {
  readonly writes: readonly number[];
  readonly clinging: readonly number[];
}

type WriteInProgress = { -readonly [name in keyof Write]: Write[name] };

const readsPerSecond = 200;
const clingingPerSecond = 100;
/** Every so many writes the register is set, which the reader reads. */
const registerEvery = 10;
const rereadAtOnce = 500;
/** How long answers are waited for when it stops. */
const drainMs = 2_000;

serve<TrafficStart>(async (start) => {
  const { client: plan, prefix, tags } = start;
  const [client, reader] = await Promise.all([openClient(plan), openClient(plan)]);
  const writes: WriteInProgress[] = [];
  const clinging: WriteInProgress[] = [];
  const errors: Record<string, number> = {};
  const answeredMs: number[] = [];
  let unanswered = 0;
  let stale = 0;
  let highestRead = -1;
  let acknowledged = 0;
  let lastAckMs = 0;
  let stops: (() => void)[] = [];

  const keyOf = ({ number, shard }: Write) => `{${tags[shard]}}${prefix}:${number}`;
  const clingingKey = ({ number }: Write) => `{${tags[0]}}${prefix}:clinging:${number}`;
  const register = `{${tags[0]}}${prefix}:register`;
  const failed = (error: unknown) => {
    const kind = errorKind(error);
    errors[kind] = (errors[kind] ?? 0) + 1;
  };

  function write(): void {
    const number = writes.length;
    const shard = number % tags.length;
    const record: WriteInProgress = { number, shard, sentMs: nowMs(), ackedMs: undefined };
    writes.push(record);
    unanswered += 1;
    client
      .set(keyOf(record), String(number))
      .then(() => {
        record.ackedMs = nowMs();
        acknowledged += 1;
        if (shard === 0) lastAckMs = record.ackedMs;
      }, failed)
      .finally(() => {
        unanswered -= 1;
      });
    if (number % registerEvery === 0) client.set(register, String(number)).catch(failed);
  }

  function read(): void {
    const atLeast = highestRead;
    reader.get(register).then((value) => {
      answeredMs.push(nowMs());
      const seen = value === null ? -1 : Number(value);
      if (seen < atLeast) stale += 1;
      highestRead = Math.max(highestRead, seen);
    }, failed);
  }

  const holder = new Redis({
    ...start.primary,
    retryStrategy: () => 10,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  });
  holder.on('error', () => {});

  function cling(): void {
    if (holder.status !== 'ready') return;
    const record: WriteInProgress = {
      number: clinging.length,
      shard: 0,
      sentMs: nowMs(),
      ackedMs: undefined,
    };
    clinging.push(record);
    // That it is refused after the failover is what is hoped for.
    holder.set(clingingKey(record), String(record.number)).then(
      () => {
        record.ackedMs = nowMs();
      },
      () => {},
    );
  }

  stops = [
    atPace(start.writesPerSecond, write),
    atPace(readsPerSecond, read),
    atPace(clingingPerSecond, cling),
  ];

  return {
    progress: (): TrafficProgress => ({ acknowledged, lastAckMs }),
    async stop(): Promise<TrafficRecord> {
      for (const stop of stops) stop();
      const endedMs = nowMs();
      while (unanswered > 0 && nowMs() < endedMs + drainMs) await sleep(5);
      return { writes, clinging, reads: { count: answeredMs.length, stale, answeredMs }, errors, endedMs };
    },
    /** Reads every acknowledged write again, by an ordinary client of its own. */
    async missing(): Promise<Missing> {
      const fresh = await openClient(plan);
      try {
        return {
          writes: await missingOf(fresh, writes, keyOf),
          clinging: await missingOf(fresh, clinging, clingingKey),
        };
      } finally {
        fresh.close();
      }
    },
    close() {
      client.close();
      reader.close();
      holder.disconnect();
    },
  };
});

async function missingOf(
  client: CacheClient,
  writes: readonly Write[],
  keyOf: (write: Write) => string,
): Promise<number[]> {
  const acknowledged = writes.filter(({ ackedMs }) => ackedMs !== undefined);
  const missing: number[] = [];
  for (let start = 0; start < acknowledged.length; start += rereadAtOnce) {
    const some = acknowledged.slice(start, start + rereadAtOnce);
    const values = await Promise.all(some.map((write) => client.get(keyOf(write))));
    for (const [index, { number }] of some.entries()) {
      if (values[index] !== String(number)) missing.push(number);
    }
  }
  return missing;
}
