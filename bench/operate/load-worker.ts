/**
 * A process of its own, so that nothing but its own work delays what it measures: an ordinary client that writes versions
 * of many keys and reads them, and knows of each read which versions may be its answer.
 */
import { Cluster, Redis } from 'ioredis';
import { type CacheClient, type ClientPlan, errorKind, openClient } from '../../testing/cache-client.ts';
import { nowMs, sleep } from '../monotonic.ts';
import { seededRandom } from '../seeded-random.ts';
import { serve } from '../worker-service.ts';

export interface LoadStart {
  readonly client: ClientPlan;
  readonly keys: number;
  readonly valueBytes: number;
  /** Reads and writes in turn. */
  readonly operationsPerSecond: number;
  readonly seed: number;
}

export interface LoadRecord {
  /** Of every answered operation, in the order of their answers; on the clock of bench/monotonic.ts. */
  readonly sentMs: Float64Array;
  readonly tookMs: Float64Array;
  /** Answers that no version of that time explains, missing keys among them. */
  readonly wrongReads: number;
  readonly errors: Readonly<Record<string, number>>;
}

export interface Verified {
  readonly keys: number;
  /** Keys that are missing, or older than their last acknowledged version. */
  readonly lost: number;
}

const tickMs = 2;
/** After a longer break it goes on at its pace instead of catching up at once. */
const mostAtOnce = 50;
const fillAtOnce = 2_000;
const drainMs = 5_000;

serve<LoadStart>(async ({ client: plan, keys, valueBytes, operationsPerSecond, seed }) => {
  const random = seededRandom(seed);
  const client = await openClient(plan);
  const padding = 'x'.repeat(valueBytes);
  /** By key: the highest version that was sent, and that was acknowledged. */
  const sent = new Uint32Array(keys);
  const acknowledged = new Uint32Array(keys);
  const sentMs: number[] = [];
  const tookMs: number[] = [];
  const errors: Record<string, number> = {};
  let wrongReads = 0;
  let underWay = 0;
  let timer: NodeJS.Timeout | undefined;

  const nameOf = (key: number) => `load:${key}`;
  const textOf = (version: number) => `${version}:${padding}`.slice(0, valueBytes);
  const pick = () => Math.floor(random() * keys);

  async function timed(work: () => Promise<void>): Promise<void> {
    const startMs = nowMs();
    underWay += 1;
    try {
      await work();
      sentMs.push(startMs);
      tookMs.push(nowMs() - startMs);
    } catch (error) {
      const kind = errorKind(error);
      errors[kind] = (errors[kind] ?? 0) + 1;
    } finally {
      underWay -= 1;
    }
  }

  function write(): void {
    let key = pick();
    // One at a time for each key: of two that a client sends again, either may be the last.
    while (sent[key] !== acknowledged[key]) key = pick();
    const version = sent[key]! + 1;
    sent[key] = version;
    void timed(async () => {
      await client.set(nameOf(key), textOf(version));
      acknowledged[key] = version;
    });
  }

  function read(): void {
    const key = pick();
    const atLeast = acknowledged[key]!;
    void timed(async () => {
      const version = versionOf(await client.get(nameOf(key)));
      if (version === undefined || version < atLeast || version > sent[key]!) wrongReads += 1;
    });
  }

  return {
    fill: () => fill(plan, keys, nameOf, textOf(0)),
    begin() {
      const everyMs = 1_000 / operationsPerSecond;
      let nextMs = performance.now();
      let count = 0;
      timer = setInterval(() => {
        const now = performance.now();
        nextMs = Math.max(nextMs, now - mostAtOnce * everyMs);
        for (; nextMs <= now; nextMs += everyMs) {
          count += 1;
          if (count % 2 === 0) write();
          else read();
        }
      }, tickMs);
    },
    async stop(): Promise<LoadRecord> {
      clearInterval(timer);
      const endsAtMs = nowMs() + drainMs;
      while (underWay > 0 && nowMs() < endsAtMs) await sleep(5);
      if (underWay > 0) errors.unanswered = underWay;
      return { sentMs: Float64Array.from(sentMs), tookMs: Float64Array.from(tookMs), wrongReads, errors };
    },
    /** Reads every key that was written since it was filled, by a client of its own. */
    async verify(): Promise<Verified> {
      const fresh = await openClient(plan);
      try {
        return await verify(fresh, sent, acknowledged, nameOf);
      } finally {
        fresh.close();
      }
    },
    close: () => client.close(),
  };
});

function versionOf(value: string | null): number | undefined {
  const digits = /^(\d+):/.exec(value ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

async function verify(
  client: CacheClient,
  sent: Uint32Array,
  acknowledged: Uint32Array,
  nameOf: (key: number) => string,
): Promise<Verified> {
  const written = [...sent.keys()].filter((key) => sent[key]! > 0);
  let lost = 0;
  for (let start = 0; start < written.length; start += fillAtOnce) {
    const some = written.slice(start, start + fillAtOnce);
    const values = await Promise.all(some.map((key) => client.get(nameOf(key))));
    for (const [index, key] of some.entries()) {
      const version = versionOf(values[index]!);
      if (version === undefined || version < acknowledged[key]! || version > sent[key]!) lost += 1;
    }
  }
  return { keys: written.length, lost };
}

/** The client gathers what goes to one node, or a million keys would take minutes. */
async function fill(
  plan: ClientPlan,
  keys: number,
  nameOf: (key: number) => string,
  value: string,
): Promise<void> {
  const client = gatheringClient(plan);
  try {
    for (let start = 0; start < keys; start += fillAtOnce) {
      const some = Array.from({ length: Math.min(fillAtOnce, keys - start) }, (_, index) => start + index);
      await Promise.all(some.map((key) => client.set(nameOf(key), value)));
    }
  } finally {
    client.disconnect();
  }
}

function gatheringClient(plan: ClientPlan): Redis | Cluster {
  if (plan.kind === 'ioredis') return new Redis({ ...plan.place, enableAutoPipelining: true });
  if (plan.kind === 'ioredis-cluster') return new Cluster([...plan.seeds], { enableAutoPipelining: true });
  throw new Error(`No filling by ${plan.kind}.`);
}
