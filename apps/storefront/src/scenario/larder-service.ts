/**
 * The service under the sale: the same program, and through the same AWS API, that anybody else would use.
 * Nothing here knows how it works inside.
 */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CreateReplicationGroupCommand,
  DeleteReplicationGroupCommand,
  DescribeCacheClustersCommand,
  DescribeEventsCommand,
  DescribeReplicationGroupsCommand,
  ElastiCacheClient,
  type ReplicationGroup,
  ReplicationGroupNotFoundFault,
} from '@aws-sdk/client-elasticache';
import { freePort } from '../postgres/server.ts';
import type { CacheEvent, CacheGroup, CacheMember } from '../sale/cache-group.ts';
import { respCommand } from '../sale/resp-connection.ts';
import { type ScenarioProcess, startProcess } from './child-process.ts';
import type { StartCache } from './scenario.ts';

export interface LarderService {
  readonly process: ScenarioProcess;
  readonly endpoint: string;
  /** Creates it, or makes it anew when an earlier run left one behind. Waits until it is available. */
  createGroup(report: (sentence: string) => void): Promise<CacheGroup>;
  /** Waits until its engines are gone; false when that took longer than `timeoutMs`. */
  deleteGroup(timeoutMs: number): Promise<boolean>;
  close(): void;
}

export interface LarderServiceOptions {
  readonly dataDirectory: string;
  readonly logDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly onStarted: (process: ScenarioProcess) => Promise<void>;
}

const program = fileURLToPath(new URL('../../../larder/dist/main.js', import.meta.url));
const groupId = 'flash-sale';
const startTimeoutMs = 30_000;
const createTimeoutMs = 90_000;
const deleteTimeoutMs = 20_000;
const pollMs = 100;
const run = promisify(execFile);

/** @throws with the end of the service's log when it does not become healthy. */
export async function startLarderService(options: LarderServiceOptions): Promise<LarderService> {
  await mkdir(options.dataDirectory, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const service = await startProcess({
    name: 'larder-service',
    script: program,
    args: ['server', '--data-dir', options.dataDirectory, '--port', String(port), '--sentinel-port', '0'],
    logDirectory: options.logDirectory,
    environment: options.environment,
    readyBy: 'nothing',
  });
  await options.onStarted(service);
  const endpoint = `http://127.0.0.1:${port}`;
  await untilHealthy(service, endpoint);
  const client = await connectedClient(options, endpoint);

  async function find(): Promise<ReplicationGroup | undefined> {
    try {
      const answer = await client.send(new DescribeReplicationGroupsCommand({ ReplicationGroupId: groupId }));
      return answer.ReplicationGroups?.[0];
    } catch (error) {
      if (error instanceof ReplicationGroupNotFoundFault) return undefined;
      throw error;
    }
  }

  async function untilGone(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    let asked = false;
    while (performance.now() < deadline) {
      const group = await find();
      if (group === undefined) return true;
      // A group that is just being changed refuses to be deleted; it is asked again.
      if (!asked && group.Status !== 'deleting') asked = await askToDelete();
      await sleep(pollMs);
    }
    return (await find()) === undefined;
  }
  function askToDelete(): Promise<boolean> {
    return client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId: groupId })).then(
      () => true,
      () => false,
    );
  }

  return {
    process: service,
    endpoint,
    async createGroup(report) {
      if ((await find()) !== undefined) {
        report('removing the replication group of an earlier run');
        if (!(await untilGone(createTimeoutMs)))
          throw new Error('An earlier replication group could not be removed.');
      }
      await client.send(
        new CreateReplicationGroupCommand({
          ReplicationGroupId: groupId,
          ReplicationGroupDescription: 'The cache of the flash sale',
          Engine: 'valkey',
          CacheNodeType: 'cache.t4g.small',
          NumCacheClusters: 3,
          AutomaticFailoverEnabled: true,
        }),
      );
      const deadline = performance.now() + createTimeoutMs;
      for (let lastStatus = ''; ; await sleep(pollMs)) {
        const group = await find();
        const status = group?.Status ?? 'unknown';
        if (status !== lastStatus) report(status);
        lastStatus = status;
        if (status === 'available') return cacheGroup(client, group!);
        if (status === 'create-failed' || performance.now() > deadline) {
          throw new Error(`The replication group did not become available; its status is "${status}".`);
        }
      }
    },
    deleteGroup: untilGone,
    close: () => client.destroy(),
  };
}

/** The replication group of the sale, on a service of its own. */
export const larderCache: StartCache = async ({
  directory,
  logDirectory,
  environment,
  report,
  onStarted,
}) => {
  const service = await startLarderService({
    dataDirectory: join(directory, 'larder'),
    logDirectory,
    environment,
    onStarted,
  });
  async function remove(engines: readonly number[]): Promise<void> {
    const gone = await service.deleteGroup(deleteTimeoutMs).catch(() => false);
    service.close();
    if (gone) return;
    // The service did not manage; engines must not outlive the scenario that asked for them.
    for (const processId of engines) {
      try {
        process.kill(processId, 'SIGKILL');
      } catch {
        // It is gone already.
      }
    }
    throw new Error(`the replication group was not removed within ${deleteTimeoutMs / 1_000} s`);
  }
  try {
    const group = await service.createGroup(report);
    return {
      group,
      stop: async () => remove(await engineProcessIds(group)),
    };
  } catch (error) {
    await remove([]).catch(() => {});
    throw error;
  }
};

async function engineProcessIds(group: CacheGroup): Promise<number[]> {
  const members = await group.members().catch(() => []);
  const ids = await Promise.all(
    members.map(({ endpoint }) =>
      respCommand(endpoint, ['INFO', 'server']).then(
        (info) => Number(/^process_id:(\d+)/m.exec(info ?? '')?.[1]),
        () => Number.NaN,
      ),
    ),
  );
  return ids.filter((id) => id > 1);
}

async function untilHealthy(service: ScenarioProcess, endpoint: string): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  let died: string | undefined;
  void service.diedUnexpectedly.then((why) => {
    died = why;
  });
  while (performance.now() < deadline) {
    if (died !== undefined) throw new Error(died);
    const healthy = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(1_000) }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status === 200;
      },
      () => false,
    );
    if (healthy) return;
    await sleep(50);
  }
  throw new Error(`The service did not answer on ${endpoint}/health within ${startTimeoutMs / 1000} s.`);
}

async function connectedClient(options: LarderServiceOptions, endpoint: string): Promise<ElastiCacheClient> {
  const { stdout } = await run(
    process.execPath,
    [program, 'env', '--data-dir', options.dataDirectory, '--json'],
    { env: options.environment },
  );
  const told = JSON.parse(stdout) as { accessKeyId: string; secretAccessKey: string; region: string };
  return new ElastiCacheClient({
    endpoint,
    region: told.region,
    credentials: { accessKeyId: told.accessKeyId, secretAccessKey: told.secretAccessKey },
    maxAttempts: 2,
  });
}

async function cacheGroup(client: ElastiCacheClient, created: ReplicationGroup): Promise<CacheGroup> {
  const primary = created.NodeGroups?.[0]?.PrimaryEndpoint;
  if (primary?.Address === undefined || primary.Port === undefined) {
    throw new Error('The replication group is available but names no primary endpoint.');
  }
  const clusters = await client.send(
    new DescribeCacheClustersCommand({ CacheClusterId: created.MemberClusters![0]! }),
  );
  const { Engine, EngineVersion } = clusters.CacheClusters?.[0] ?? {};

  return {
    engineVersion: `${Engine ?? 'unknown'} ${EngineVersion ?? ''}`.trim(),
    primaryEndpoint: { host: primary.Address, port: primary.Port },
    async members() {
      const answer = await client.send(new DescribeReplicationGroupsCommand({ ReplicationGroupId: groupId }));
      const members = answer.ReplicationGroups?.[0]?.NodeGroups?.[0]?.NodeGroupMembers ?? [];
      return members.flatMap((member): CacheMember[] => {
        const { Address: host, Port: port } = member.ReadEndpoint ?? {};
        if (host === undefined || port === undefined) return [];
        const role = member.CurrentRole;
        return [
          {
            id: member.CacheClusterId ?? 'unknown',
            role: role === 'primary' || role === 'replica' ? role : 'unknown',
            endpoint: { host, port },
          },
        ];
      });
    },
    async eventsSince(fromMs) {
      const answer = await client.send(
        new DescribeEventsCommand({ StartTime: new Date(fromMs), EndTime: new Date(Date.now() + 60_000) }),
      );
      const events = (answer.Events ?? []).map(
        (event): CacheEvent => ({ atMs: event.Date?.getTime() ?? 0, message: event.Message ?? '' }),
      );
      return events.sort((left, right) => left.atMs - right.atMs);
    },
  };
}
