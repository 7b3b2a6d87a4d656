/**
 * The promise: the service may be killed between any two things it does. What it acknowledged is carried out when it
 * is back, and while it is not the API says so.
 *
 * Each workflow is run again and again, and the service kills itself right before one thing that it does to the
 * outside world: a few of them by chance in an ordinary run, every one, and right after every one too, with
 * `npm run crash-points`.
 */
import {
  type CacheCluster,
  CreateCacheClusterCommand,
  CreateSnapshotCommand,
  DecreaseReplicaCountCommand,
  DeleteCacheClusterCommand,
  DeleteReplicationGroupCommand,
  DeleteSnapshotCommand,
  DescribeSnapshotsCommand,
  IncreaseReplicaCountCommand,
  ModifyCacheClusterCommand,
  ModifyReplicationGroupCommand,
  type ModifyReplicationGroupCommandInput,
  ModifyReplicationGroupShardConfigurationCommand,
  RebootCacheClusterCommand,
  type ReplicationGroup,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allCrashPoints } from '../testing/config.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  errorName,
  groupAvailable,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, type Place, redisClients } from '../testing/redis-clients.ts';
import { chosenSeed, randomFrom } from '../testing/seed.ts';
import { waitFor } from '../testing/wait-for.ts';

const random = randomFrom(chosenSeed('crash points'));
const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
const clients = redisClients();
let larder: TestLarder;
let runs = 0;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
  console.log(`the service was killed at ${runs} points`);
});

interface Workflow {
  /** Makes what the workflow changes; not killed. */
  readonly prepare?: (id: string) => Promise<void>;
  readonly request: (id: string) => Promise<unknown>;
  /** What the API says while the workflow is under way. */
  readonly underWay: readonly string[];
  readonly done: (id: string) => Promise<boolean>;
  /** What must hold after it. */
  readonly check: (id: string) => Promise<void>;
  /** Takes away what is left. */
  readonly cleanUp?: (id: string) => Promise<void>;
}

const mostEffects = 60;

function effectsToTry(): number[] {
  if (allCrashPoints) return Array.from({ length: mostEffects }, (_, index) => index + 1);
  return [1, between(2, 4), between(5, 9)];
}

/** @returns how often the service was killed. */
async function throughEveryCrash(name: string, workflow: Workflow): Promise<number> {
  let kills = 0;
  for (const when of allCrashPoints ? ['before', 'after'] : ['before']) {
    for (const effect of effectsToTry()) {
      const id = `${name}-${when}-${effect}`;
      if (larder.ended) await larder.start();
      await workflow.prepare?.(id);
      await larder.kill();
      await larder.start(`${when}:${effect}`);
      await workflow.request(id).catch(async (error: Error) => {
        if (isServiceError(error)) throw error;
        // Killed between the commit and the answer.
        await waitFor(
          () => larder.ended,
          (ended) => ended,
          { what: 'the service to have ended' },
        );
      });
      await waitFor(
        async () => larder.ended || (await workflow.done(id)),
        (over) => over,
        { what: `${id} to be through, or the service killed`, limitMs: 30_000 },
      );
      const killed = larder.ended;
      if (killed) {
        kills += 1;
        await larder.start();
        // Whatever does not read as under way must be true already.
        const status = await statusOf(id);
        if (!workflow.underWay.includes(status))
          expect([status, await workflow.done(id)]).toEqual([status, true]);
        await waitFor(
          () => workflow.done(id),
          (done) => done,
          { what: `${id} to be through after a kill`, limitMs: 30_000 },
        );
      }
      await workflow.check(id);
      // What comes now is not to be killed.
      if (!killed) await larder.restart();
      await (workflow.cleanUp ?? removeGroup)(id);
      // Nothing of this run may be under way in the next.
      await waitFor(
        async () => [await gone(id), await clusterGone(id), nodesOf(id).length === 0],
        (all) => all.every((each) => each),
        { what: `${id} to be gone with its nodes` },
      );
      if (!killed) break;
    }
  }
  runs += kills;
  return kills;
}

/** Undefined when it is gone. */
async function statusOf(id: string): Promise<string> {
  const group = await describeGroup(larder, id).catch(() => undefined);
  if (group !== undefined) return group.Status!;
  const cluster = await describeCluster(larder, id).catch(() => undefined);
  return cluster?.CacheClusterStatus ?? 'gone';
}

const groupIs = (ready: (group: ReplicationGroup) => boolean) => async (id: string) => {
  const group = await describeGroup(larder, id);
  return group.Status === 'available' && ready(group);
};
const anyGroup = groupIs(() => true);
const clusterIs = (ready: (cluster: CacheCluster) => boolean) => async (id: string) => {
  const cluster = await describeCluster(larder, id);
  return cluster.CacheClusterStatus === 'available' && ready(cluster);
};

const pair = (id: string) =>
  createGroup(larder, id, { NumCacheClusters: 2, AutomaticFailoverEnabled: true }).then(() =>
    groupAvailable(larder, id).then(() => store(id)),
  );
const modify = (input: Partial<ModifyReplicationGroupCommandInput>) => (id: string) =>
  larder.client.send(
    new ModifyReplicationGroupCommand({ ReplicationGroupId: id, ApplyImmediately: true, ...input }),
  );

async function placeOf(id: string): Promise<Place> {
  return (await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!;
}

/** Something that every replica has. */
async function store(id: string): Promise<void> {
  const client = clients.to(await placeOf(id));
  await client.mset({ a: '1', b: '2' });
  await client.wait(1, 5_000);
  client.disconnect();
}

/** One primary that takes writes, the others in sync behind it, no process or folder besides. */
async function expectWhole(id: string, nodes: number, keys = 2): Promise<void> {
  const client = clients.to(await placeOf(id));
  expect(await client.dbsize()).toBe(keys);
  await client.set('after', '1');
  expect(await client.wait(nodes - 1, 5_000)).toBe(nodes - 1);
  expect(await infoField(client, 'role')).toBe('master');
  client.disconnect();
  await expectNodes(id, nodes);
}

function nodesOf(id: string) {
  return larder
    .processes()
    .filter(({ nodeId }) => nodeId.startsWith(`${id}-`) || nodeId.startsWith(`${id}.`));
}

async function expectNodes(id: string, nodes: number): Promise<void> {
  expect(nodesOf(id)).toHaveLength(nodes);
  const folders = (await larder.nodeFolders()).filter(
    (each) => each.startsWith(`${id}-`) || each.startsWith(`${id}.`),
  );
  expect(folders).toHaveLength(nodes);
}

async function removeGroup(id: string): Promise<void> {
  await larder.client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId: id }));
}

async function removeCluster(id: string): Promise<void> {
  await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: id }));
}

async function gone(id: string): Promise<boolean> {
  return (await errorName(describeGroup(larder, id))) === 'ReplicationGroupNotFoundFault';
}

async function clusterGone(id: string): Promise<boolean> {
  return (await errorName(describeCluster(larder, id))) === 'CacheClusterNotFoundFault';
}

async function snapshotStatus(name: string): Promise<string | undefined> {
  const { Snapshots } = await larder.client.send(new DescribeSnapshotsCommand({ SnapshotName: name }));
  return Snapshots![0]?.SnapshotStatus;
}

/** An answer of the service, not a broken connection. */
function isServiceError(error: Error): boolean {
  return '$fault' in error && '$metadata' in error && (error as { Code?: string }).Code !== undefined;
}

const workflows: Record<string, Workflow> = {
  'a group is created': {
    request: (id) => createGroup(larder, id, { NumCacheClusters: 2 }),
    underWay: ['creating'],
    done: anyGroup,
    check: (id) => expectWhole(id, 2, 0),
  },
  'a group with cluster mode is created': {
    request: (id) => createGroup(larder, id, { NumNodeGroups: 2, ReplicasPerNodeGroup: 0 }),
    underWay: ['creating'],
    done: anyGroup,
    check: async (id) => {
      const { ConfigurationEndpoint } = await describeGroup(larder, id);
      const client = clients.to(ConfigurationEndpoint!);
      expect(await client.cluster('INFO')).toContain('cluster_slots_assigned:16384');
      client.disconnect();
      await expectNodes(id, 2);
    },
  },
  'a group is deleted': {
    prepare: pair,
    request: removeGroup,
    underWay: ['deleting'],
    done: gone,
    check: (id) => expectNodes(id, 0),
    cleanUp: async () => {},
  },
  'a parameter group is changed for another, and a node type': {
    prepare: pair,
    request: modify({ CacheNodeType: 'cache.t4g.small' }),
    underWay: ['modifying'],
    done: groupIs(({ CacheNodeType }) => CacheNodeType === 'cache.t4g.small'),
    check: async (id) => {
      await expectWhole(id, 2);
      const client = clients.to(await placeOf(id));
      expect(await infoField(client, 'maxmemory')).toBe(String(Math.floor((1_471_026_299 * 75) / 100)));
      client.disconnect();
    },
  },
  'a replica is added': {
    prepare: pair,
    request: (id) =>
      larder.client.send(
        new IncreaseReplicaCountCommand({
          ReplicationGroupId: id,
          NewReplicaCount: 2,
          ApplyImmediately: true,
        }),
      ),
    underWay: ['modifying'],
    done: groupIs(({ MemberClusters }) => MemberClusters!.length === 3),
    check: (id) => expectWhole(id, 3),
  },
  'a replica is removed': {
    prepare: async (id) => {
      await createGroup(larder, id, { NumCacheClusters: 3 });
      await groupAvailable(larder, id);
      await store(id);
    },
    request: (id) =>
      larder.client.send(
        new DecreaseReplicaCountCommand({
          ReplicationGroupId: id,
          NewReplicaCount: 1,
          ApplyImmediately: true,
        }),
      ),
    underWay: ['modifying'],
    done: groupIs(({ MemberClusters }) => MemberClusters!.length === 2),
    check: (id) => expectWhole(id, 2),
  },
  'the primary hands over': {
    prepare: (id) =>
      createGroup(larder, id, { NumCacheClusters: 2 }).then(() =>
        groupAvailable(larder, id).then(() => store(id)),
      ),
    request: (id) => modify({ PrimaryClusterId: `${id}-002` })(id),
    underWay: ['modifying'],
    done: async (id) => (await anyGroup(id)) && primaryOf(await describeGroup(larder, id)) === `${id}-002`,
    check: (id) => expectWhole(id, 2),
  },
  'the engine is upgraded': {
    prepare: async (id) => {
      await createGroup(larder, id, { NumCacheClusters: 2, EngineVersion: '8.1' });
      await groupAvailable(larder, id);
      await store(id);
    },
    request: modify({ EngineVersion: '9.1' }),
    underWay: ['modifying'],
    done: anyGroup,
    check: async (id) => {
      await expectWhole(id, 2);
      const client = clients.to(await placeOf(id));
      expect(await infoField(client, 'valkey_version')).toMatch(/^9\.1/);
      client.disconnect();
    },
  },
  'both kinds of clients are let in on one port': {
    prepare: pair,
    request: modify({ TransitEncryptionEnabled: true, TransitEncryptionMode: 'preferred' }),
    underWay: ['modifying'],
    done: groupIs(({ TransitEncryptionMode }) => TransitEncryptionMode === 'preferred'),
    check: (id) => expectWhole(id, 2),
  },
  'the primary is retained as a cluster of its own': {
    prepare: pair,
    request: (id) =>
      larder.client.send(
        new DeleteReplicationGroupCommand({ ReplicationGroupId: id, RetainPrimaryCluster: true }),
      ),
    underWay: ['deleting'],
    done: async (id) =>
      (await gone(id)) && (await describeCluster(larder, `${id}-001`)).CacheClusterStatus === 'available',
    check: async (id) => {
      const { CacheNodes } = await describeCluster(larder, `${id}-001`);
      const client = clients.to(CacheNodes![0]!.Endpoint!);
      expect(await client.dbsize()).toBe(2);
      client.disconnect();
      await expectNodes(id, 1);
    },
    cleanUp: (id) => removeCluster(`${id}-001`),
  },
  'a snapshot is taken': {
    prepare: pair,
    request: (id) =>
      larder.client.send(new CreateSnapshotCommand({ ReplicationGroupId: id, SnapshotName: `of-${id}` })),
    underWay: ['snapshotting'],
    done: async (id) => (await anyGroup(id)) && (await snapshotStatus(`of-${id}`)) === 'available',
    check: (id) => expectWhole(id, 2),
    cleanUp: async (id) => {
      await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: `of-${id}` }));
      await removeGroup(id);
    },
  },
  'a shard is added': {
    prepare: async (id) => {
      await createGroup(larder, id, { NumNodeGroups: 2, ReplicasPerNodeGroup: 0 });
      await groupAvailable(larder, id);
    },
    request: (id) =>
      larder.client.send(
        new ModifyReplicationGroupShardConfigurationCommand({
          ReplicationGroupId: id,
          NodeGroupCount: 3,
          ApplyImmediately: true,
        }),
      ),
    underWay: ['modifying'],
    done: groupIs(({ NodeGroups }) => NodeGroups!.length === 3),
    check: async (id) => {
      const { ConfigurationEndpoint } = await describeGroup(larder, id);
      const client = clients.to(ConfigurationEndpoint!);
      expect(await client.cluster('INFO')).toMatch(/cluster_slots_ok:16384[\s\S]*cluster_size:3/);
      client.disconnect();
      await expectNodes(id, 3);
    },
  },
  'Memcached nodes are added': {
    prepare: async (id) => {
      await larder.client.send(
        new CreateCacheClusterCommand({ CacheClusterId: id, Engine: 'memcached', NumCacheNodes: 1 }),
      );
      await waitFor(
        () => clusterIs(() => true)(id),
        (done) => done,
        { what: 'the cluster' },
      );
    },
    request: (id) =>
      larder.client.send(
        new ModifyCacheClusterCommand({ CacheClusterId: id, NumCacheNodes: 2, ApplyImmediately: true }),
      ),
    underWay: ['modifying'],
    done: clusterIs(({ NumCacheNodes }) => NumCacheNodes === 2),
    check: (id) => expectNodes(id, 2),
    cleanUp: removeCluster,
  },
  'a node is rebooted': {
    prepare: async (id) => {
      await larder.client.send(new CreateCacheClusterCommand({ CacheClusterId: id, Engine: 'valkey' }));
      await waitFor(
        () => clusterIs(() => true)(id),
        (done) => done,
        { what: 'the cluster' },
      );
    },
    request: (id) =>
      larder.client.send(
        new RebootCacheClusterCommand({ CacheClusterId: id, CacheNodeIdsToReboot: ['0001'] }),
      ),
    underWay: ['rebooting cluster nodes'],
    done: clusterIs(() => true),
    check: (id) => expectNodes(id, 1),
    cleanUp: removeCluster,
  },
};

describe('killed before each thing it does, the service goes on when', () => {
  const list = Object.entries(workflows).map(([what, workflow], index) => ({ what, workflow, index }));
  test.each(list)('$what', { timeout: allCrashPoints ? 600_000 : 120_000 }, async ({ workflow, index }) => {
    expect(await throughEveryCrash(`w${index}`, workflow)).toBeGreaterThan(0);
  });
});
