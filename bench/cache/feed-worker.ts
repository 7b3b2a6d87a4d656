/** A consumer of the change feed, in a process of its own, so that its CPU time and memory are its own. */
import { postgresFeed } from '@larder/cache/postgres';
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import { importPeer } from '../import-peer.ts';
import { sleep } from '../monotonic.ts';
import { openLarder } from '../subjects/larder.ts';
import { serve } from '../worker-service.ts';

export interface FeedStart {
  readonly consumer: 'larder' | 'pg-logical-replication';
  readonly engine: { readonly host: string; readonly port: number };
  readonly postgres: PostgresAddress;
  readonly table: string;
  readonly slot: string;
  readonly publication: string;
}

export interface Drained {
  readonly elapsedMs: number;
  readonly cpuMicros: number;
  /** Keys that were invalidated one by one; of the peer, rows that were decoded. */
  readonly changes: number;
  /** Times that everything was forgotten instead. */
  readonly epochs: number;
}

export interface FeedState {
  readonly applied: bigint;
  /** Infinity before the first. */
  readonly heartbeatAgeMs: number;
  readonly epochs: number;
  readonly peakRssBytes: number;
}

/** One connection of a consumer to its slot. */
interface Consumer {
  start(): Promise<void>;
  applied(): bigint;
  changes(): number;
  epochs(): number;
  heartbeatAgeMs(): number;
  stop(): Promise<void>;
}

serve<FeedStart>(async (start) => {
  let current: Consumer | undefined;
  const open = async (): Promise<Consumer> => {
    current = await (start.consumer === 'larder' ? openLarderFeed(start) : openPeer(start));
    return current;
  };
  return {
    async begin() {
      await (await open()).start();
    },
    async end() {
      await current?.stop();
      current = undefined;
    },
    /** From connecting until everything up to `target` is applied. */
    async drain(target: bigint): Promise<Drained> {
      const cpuBefore = process.cpuUsage();
      const beganMs = performance.now();
      const consumer = await open();
      const started = consumer.start();
      while (consumer.applied() < target) await sleep(2);
      const elapsedMs = performance.now() - beganMs;
      const { user, system } = process.cpuUsage(cpuBefore);
      await started;
      const result = { changes: consumer.changes(), epochs: consumer.epochs() };
      await consumer.stop();
      current = undefined;
      return { ...result, elapsedMs, cpuMicros: user + system };
    },
    state: (): FeedState => ({
      applied: current?.applied() ?? 0n,
      heartbeatAgeMs: current?.heartbeatAgeMs() ?? Number.POSITIVE_INFINITY,
      epochs: current?.epochs() ?? 0,
      peakRssBytes: process.resourceUsage().maxRSS * 1_024,
    }),
  };
});

async function openLarderFeed({ engine, postgres, table, slot, publication }: FeedStart): Promise<Consumer> {
  const { cache } = openLarder<never>({
    ...{ engine, namespace: table, near: false, ttlMs: 600_000, load: async () => null },
    watches: [{ table: `public.${table}`, key: (row) => row.id }],
  });
  const invalidator = cache.invalidator(postgresFeed({ connection: postgres, slot, publication }));
  const status = () => invalidator.status();
  return {
    start: () => invalidator.start(),
    applied: () => (status().state === 'streaming' ? BigInt(`0x${status().applied}`) : 0n),
    changes: () => status().keysInvalidated,
    epochs: () => status().epochsBegun,
    heartbeatAgeMs: () => status().heartbeatAgeMs ?? Number.POSITIVE_INFINITY,
    stop: () => cache.close(),
  };
}

interface PeerMessage {
  readonly tag: string;
  readonly commitEndLsn?: string | null;
}
interface Service {
  on(event: 'data', listener: (lsn: string, message: PeerMessage) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  subscribe(plugin: unknown, slot: string): Promise<unknown>;
  stop(): Promise<unknown>;
}
interface PeerModule {
  readonly LogicalReplicationService: new (client: object, config: object) => Service;
  readonly PgoutputPlugin: new (options: { protoVersion: 1; publicationNames: string[] }) => unknown;
}

/** Decodes and counts, nothing else; it acknowledges by itself every ten seconds, as it comes. */
async function openPeer({ postgres, slot, publication }: FeedStart): Promise<Consumer> {
  const { LogicalReplicationService, PgoutputPlugin } =
    await importPeer<PeerModule>('pg-logical-replication');
  const service = new LogicalReplicationService(
    { ...postgres },
    { acknowledge: { auto: true, timeoutSeconds: 10 } },
  );
  let applied = 0n;
  let changes = 0;
  service.on('error', () => {});
  service.on('data', (_, { tag, commitEndLsn }) => {
    if (tag === 'update') changes += 1;
    else if (tag === 'commit' && commitEndLsn) applied = positionOf(commitEndLsn);
  });
  let running: Promise<unknown> = Promise.resolve();
  return {
    // `subscribe` resolves when the stream ends.
    async start() {
      running = service.subscribe(
        new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }),
        slot,
      );
      running.catch(() => {});
    },
    applied: () => applied,
    changes: () => changes,
    epochs: () => 0,
    heartbeatAgeMs: () => Number.POSITIVE_INFINITY,
    async stop() {
      await service.stop();
    },
  };
}

function positionOf(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
