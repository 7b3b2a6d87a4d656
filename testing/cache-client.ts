/** The ordinary clients that applications use, set as applications set them, but quick to try again. */
import { Cluster, Redis } from 'ioredis';
import { createCluster } from 'redis';

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** How a client finds the primary. */
export type ClientPlan =
  | { readonly kind: 'ioredis'; readonly place: Place }
  | { readonly kind: 'ioredis-sentinel'; readonly sentinels: readonly Place[]; readonly name: string }
  | { readonly kind: 'ioredis-cluster'; readonly seeds: readonly Place[] }
  | { readonly kind: 'node-redis-cluster'; readonly seeds: readonly Place[] };

export interface CacheClient {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<string | null>;
  close(): void;
}

const retryMs = 10;
const retry = () => retryMs;

/** Connection errors show in the requests that they fail. */
const ignore = () => {};

/** Resolves when it is connected. */
export async function openClient(plan: ClientPlan): Promise<CacheClient> {
  switch (plan.kind) {
    case 'ioredis':
      return fromRedis(new Redis({ ...plan.place, retryStrategy: retry }));
    case 'ioredis-sentinel':
      return fromRedis(
        new Redis({
          sentinels: [...plan.sentinels],
          name: plan.name,
          retryStrategy: retry,
          sentinelRetryStrategy: retry,
          failoverDetector: true,
        }),
      );
    case 'ioredis-cluster':
      return fromRedis(
        new Cluster([...plan.seeds], {
          clusterRetryStrategy: retry,
          retryDelayOnFailover: retryMs,
          retryDelayOnClusterDown: retryMs,
          maxRedirections: 10_000,
        }),
      );
    case 'node-redis-cluster': {
      const cluster = createCluster({
        rootNodes: plan.seeds.map((place) => ({ socket: place })),
        defaults: { socket: { reconnectStrategy: retryMs } },
        // Else it asks a dead node's place for five seconds before it asks another who took over.
        topologyRefreshOnReconnectionAttemptStrategy: retryMs,
      });
      cluster.on('error', ignore);
      await cluster.connect();
      return {
        set: (key, value) => cluster.set(key, value),
        get: (key) => cluster.get(key),
        close: () => cluster.destroy(),
      };
    }
  }
}

/** For the report: what was set, other than the client's defaults. */
export function clientText({ kind }: ClientPlan): string {
  switch (kind) {
    case 'ioredis':
      return `ioredis, retryStrategy ${retryMs} ms`;
    case 'ioredis-sentinel':
      return `ioredis by Sentinel, retryStrategy and sentinelRetryStrategy ${retryMs} ms, failoverDetector`;
    case 'ioredis-cluster':
      return `ioredis Cluster, clusterRetryStrategy, retryDelayOnFailover and retryDelayOnClusterDown ${retryMs} ms, maxRedirections 10,000`;
    case 'node-redis-cluster':
      return `node-redis cluster, reconnectStrategy and topologyRefreshOnReconnectionAttemptStrategy ${retryMs} ms`;
  }
}

async function fromRedis(client: Redis | Cluster): Promise<CacheClient> {
  client.on('error', ignore);
  await client.ping();
  return {
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    close: () => client.disconnect(),
  };
}

/** One word for a failed request: what the engine refused it with, or the client's own name for it. */
export function errorKind(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const refusal = /^(?:-)?([A-Z]{3,})\b/.exec(error.message)?.[1];
  if (refusal !== undefined) return refusal;
  return error.name === 'Error' ? error.message.slice(0, 40) : error.name;
}
