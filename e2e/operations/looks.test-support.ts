/** Tests only: ways to look at what operations did, past the service's own word. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CacheCluster } from '@aws-sdk/client-elasticache';
import { serviceUserName } from '@larder/engine/acl';
import { adminSocket } from '@larder/engine/config-file';
import { nodeSecrets } from '@larder/fleet/node-secrets';
import { Redis } from 'ioredis';
import { type Asks, describeCluster } from '../../testing/elasticache-requests.ts';
import type { TestLarder } from '../../testing/larder.ts';
import { waitFor } from '../../testing/wait-for.ts';

export const rejectedValue = 'InvalidParameterValueException';
export const rejectedCombination = 'InvalidParameterCombinationException';

/** The process of a node of a cluster, by the process table; undefined when there is none. */
export function pidOf(larder: TestLarder, clusterId: string, cacheNodeId = '0001'): number | undefined {
  return larder.processes().find(({ nodeId }) => nodeId === `${clusterId}.${cacheNodeId}`)?.pid;
}

/** Names of the nodes that run, in order. */
export function runningNodes(larder: TestLarder, prefix: string): string[] {
  return larder
    .processes()
    .map(({ nodeId }) => nodeId)
    .filter((nodeId) => nodeId.startsWith(prefix));
}

/**
 * What somebody at the machine sees who may read the service's key: the engine by its socket, CONFIG allowed.
 * Clients see the rest. The caller closes it with `disconnect`.
 */
export async function atTheMachine(larder: TestLarder, clusterId: string): Promise<Redis> {
  const nodeId = `${clusterId}.0001`;
  const secrets = nodeSecrets(await readFile(join(larder.dataDirectory, 'secret.key')));
  const client = new Redis({
    path: join(larder.dataDirectory, 'nodes', nodeId, adminSocket),
    username: serviceUserName,
    password: secrets.admin(nodeId),
    enableReadyCheck: false,
  });
  client.on('error', () => {});
  return client;
}

/** Settings of an engine as it runs, by CONFIG GET at the machine. */
export async function settingsOf(
  larder: TestLarder,
  clusterId: string,
  names: readonly string[],
): Promise<Record<string, string>> {
  const client = await atTheMachine(larder, clusterId);
  try {
    const words = (await client.config('GET', ...(names as [string]))) as string[];
    return Object.fromEntries(
      words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1]!]] : [])),
    );
  } finally {
    client.disconnect();
  }
}

export function clusterAvailable(asks: Asks, id: string): Promise<CacheCluster> {
  return waitFor(
    () => describeCluster(asks, id),
    ({ CacheClusterStatus }) => CacheClusterStatus === 'available',
    { what: `cache cluster ${id} to be available`, limitMs: 60_000 },
  );
}

/** A maintenance window of an hour that holds `now`, or that begins two days after it. UTC. */
export function windowAround(now: Date, open: boolean): string {
  const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
  const hourMs = 3_600_000;
  const at = (ms: number) => {
    const time = new Date(ms);
    return `${days[time.getUTCDay()]}:${time.toISOString().slice(11, 16)}`;
  };
  const from = now.getTime() + (open ? -hourMs : 48 * hourMs);
  return `${at(from)}-${at(from + 2 * hourMs)}`;
}
