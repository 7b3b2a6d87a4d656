/** Known traffic on real nodes, and what CloudWatch's API then tells of it. */
import { readFileSync } from 'node:fs';
import {
  CloudWatchClient,
  GetMetricStatisticsCommand,
  type Metric,
  paginateListMetrics,
} from '@aws-sdk/client-cloudwatch';
import {
  CreateCacheClusterCommand,
  CreateUserCommand,
  CreateUserGroupCommand,
  type Endpoint,
} from '@aws-sdk/client-elasticache';
import { groupMetrics, nodeMetrics } from '@larder/metrics/elasticache/catalogue';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createGroup,
  describeCluster,
  describeGroup,
  groupAvailable,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { memcached } from '../testing/memcached-text.ts';
import { waitFor } from '../testing/wait-for.ts';

const namespace = 'AWS/ElastiCache';
const password = 'correct-horse-battery';
const mebibyte = Buffer.alloc(2 ** 20, 7);
let larder: TestLarder;
let cloudWatch: CloudWatchClient;
let primary: string;
let replica: string;
let endpoint: Endpoint;
let client: Redis;
let startMs: number;

function connect(username = 'default'): Redis {
  const { Address: host, Port: port } = endpoint;
  const redis = new Redis({
    host: host!,
    port: port!,
    tls: { rejectUnauthorized: false },
    lazyConnect: true,
    disableClientInfo: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    username,
    password,
  });
  redis.on('error', () => {});
  return redis;
}

beforeAll(async () => {
  larder = await startLarder();
  connectApi();
  const user = (UserId: string, UserName: string, AccessString: string) =>
    larder.client.send(
      new CreateUserCommand({ UserId, UserName, Engine: 'valkey', AccessString, Passwords: [password] }),
    );
  await user('anybody', 'default', 'on ~* &* +@all');
  await user('app', 'app', 'on resetchannels ~app:* &app:* +@all');
  await larder.client.send(
    new CreateUserGroupCommand({ UserGroupId: 'shop', Engine: 'valkey', UserIds: ['anybody', 'app'] }),
  );
  await createGroup(larder, 'shop', {
    NumCacheClusters: 2,
    Engine: 'valkey',
    TransitEncryptionEnabled: true,
    UserGroupIds: ['shop'],
  });
  const group = await groupAvailable(larder, 'shop');
  primary = primaryOf(group);
  replica = group.MemberClusters!.find((each) => each !== primary)!;
  endpoint = group.NodeGroups![0]!.PrimaryEndpoint!;
  client = connect();
  await client.connect();
  // A first reading of both: what comes after it is counted.
  for (const id of [primary, replica]) {
    await waitFor(
      () => latest('CacheHits', id),
      (value) => value !== undefined,
      { what: `metrics of ${id}` },
    );
  }
  startMs = Date.now();
}, 120_000);

afterAll(async () => {
  client?.disconnect();
  cloudWatch?.destroy();
  await larder?.remove();
});

function connectApi(): void {
  const { endpoint: url, region, accessKeyId, secretAccessKey } = larder.access;
  cloudWatch?.destroy();
  cloudWatch = new CloudWatchClient({
    endpoint: url,
    region,
    credentials: { accessKeyId, secretAccessKey },
  });
}

const dimensionsOf = (clusterId: string) => [
  { Name: 'CacheClusterId', Value: clusterId },
  { Name: 'CacheNodeId', Value: '0001' },
];

async function statistics(name: string, Dimensions: Metric['Dimensions'], Period = 1, sinceMs = startMs) {
  const { Datapoints = [] } = await cloudWatch.send(
    new GetMetricStatisticsCommand({
      Namespace: namespace,
      MetricName: name,
      Dimensions,
      StartTime: new Date(sinceMs - (sinceMs % (Period * 1_000))),
      EndTime: new Date(Date.now() + 1_000),
      Period,
      Statistics: ['Sum', 'Average', 'Minimum', 'Maximum', 'SampleCount'],
    }),
  );
  return Datapoints.sort((a, b) => a.Timestamp!.getTime() - b.Timestamp!.getTime());
}

async function latest(name: string, clusterId = primary): Promise<number | undefined> {
  return (await statistics(name, dimensionsOf(clusterId), 1, Date.now() - 5_000)).at(-1)?.Average;
}

async function total(name: string, clusterId = primary, Period = 1): Promise<number> {
  const points = await statistics(name, dimensionsOf(clusterId), Period);
  return points.reduce((sum, { Sum }) => sum + Sum!, 0);
}

/** What was sent since `startMs`, and no more, once it was read. */
async function adds(name: string, wanted: number, clusterId = primary): Promise<void> {
  await waitFor(
    () => total(name, clusterId),
    (seen) => seen >= wanted,
    { what: `${name} to reach ${wanted}` },
  );
  expect({ [name]: await total(name, clusterId) }).toEqual({ [name]: wanted });
}

async function stands(name: string, wanted: number, clusterId = primary): Promise<void> {
  await waitFor(
    () => latest(name, clusterId),
    (seen) => seen === wanted,
    { what: `${name} to be ${wanted}` },
  );
}

const times = async <T>(count: number, work: (index: number) => Promise<T>) => {
  await Promise.all(Array.from({ length: count }, (_, index) => work(index)));
};

const refused = (work: Promise<unknown>) => expect(work).rejects.toThrow();

/** What the kernel counts of the thread that executes commands, in seconds. */
function mainThreadSeconds(clusterId: string): number {
  const { pid } = larder.processes().find(({ nodeId }) => nodeId === `${clusterId}.0001`)!;
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function infoNumber(name: string): Promise<number> {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await client.info())![1]);
}

test('commands by families, hits and misses, errors', async () => {
  await times(30, (index) => client.set(`k${index}`, 'v'));
  await times(100, (index) => client.get(`k${index % 30}`));
  await times(40, () => client.get('nothing'));
  await times(20, (index) => client.hset('h', `f${index}`, 1));
  await times(10, () => client.lpush('l', 1));
  await times(5, (index) => client.sadd('s', index));
  await times(6, (index) => client.zadd('z', index, `m${index}`));
  await times(4, () => client.xadd('x', '*', 'f', 'v'));
  await times(3, (index) => client.pfadd('p', index));
  await times(2, (index) => client.geoadd('g', index, index, `m${index}`));
  await times(7, () => client.eval('return 1', 0));
  await times(8, () => client.publish('nobody', 'hears'));
  await times(9, (index) => client.expire(`k${index}`, 10_000));
  await times(11, () => refused(client.lpush('k0', 1)));
  await times(2, () => refused(client.cluster('INFO')));
  await adds('StringBasedCmds', 170);
  await adds('HashBasedCmds', 20);
  await adds('ListBasedCmds', 21);
  await adds('SetBasedCmds', 5);
  await adds('SortedSetBasedCmds', 6);
  await adds('StreamBasedCmds', 4);
  await adds('HyperLogLogBasedCmds', 3);
  await adds('GeoSpatialBasedCmds', 2);
  await adds('EvalBasedCmds', 7);
  await adds('PubSubBasedCmds', 8);
  await adds('KeyBasedCmds', 9);
  await adds('ClusterBasedCmds', 2);
  await adds('GetTypeCmds', 140);
  await adds('SetTypeCmds', 30 + 20 + 21 + 5 + 6 + 4 + 3 + 2 + 9);
  await adds('CacheHits', 100);
  await adds('CacheMisses', 40);
  await adds('ErrorCount', 13);
  await stands('CurrItems', 37);
  await stands('CurrVolatileItems', 9);
  const rates = await statistics('CacheHitRate', dimensionsOf(primary));
  expect(rates.length).toBeGreaterThan(0);
  for (const { Average } of rates) expect(Average).toBeGreaterThanOrEqual(0);
  const reads = await statistics('SuccessfulReadRequestLatency', dimensionsOf(primary));
  expect(reads.reduce((sum, { SampleCount }) => sum + SampleCount!, 0)).toBe(140);
  for (const { Average, Minimum, Maximum } of reads) {
    expect(Average).toBeGreaterThanOrEqual(Minimum!);
    expect(Average).toBeLessThanOrEqual(Maximum!);
  }
  // The replica executes what the primary writes, and nothing that it reads.
  expect(await total('CacheHits', replica)).toBe(0);
});

test('connections: clients, and not the service or replicas', async () => {
  await stands('CurrConnections', 1);
  await stands('CurrConnections', 0, replica);
  const before = await total('NewConnections');
  const others = Array.from({ length: 5 }, () => connect());
  await Promise.all(others.map((each) => each.connect()));
  await stands('CurrConnections', 6);
  await adds('NewConnections', before + 5);
  const [first, second, third, tracking, redirected] = others;
  const waiting = [first!, second!].map((each) => each.blpop('empty', 0).catch(() => {}));
  await third!.subscribe('one', 'two');
  await stands('BlockedConnections', 2);
  await stands('PubSubChannels', 2);
  const id = await redirected!.client('ID');
  await tracking!.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id));
  await times(3, (index) => tracking!.get(`k${index}`));
  await stands('KeysTracked', 3);
  for (const each of others) each.disconnect();
  await Promise.all(waiting);
  await stands('CurrConnections', 1);
  await stands('BlockedConnections', 0);
  expect(await total('NewConnections')).toBe(before + 5);
});

test('what was refused: passwords, commands, keys, channels', async () => {
  await times(6, () => refused(client.call('AUTH', 'app', 'wrong')));
  await times(4, () => refused(client.config('GET', 'port')));
  const app = connect('app');
  await app.connect();
  await times(3, () => refused(app.get('others:key')));
  await times(2, () => refused(app.publish('others', 'news')));
  app.disconnect();
  await adds('AuthenticationFailures', 6);
  await adds('CommandAuthorizationFailures', 4);
  await adds('KeyAuthorizationFailures', 3);
  await adds('ChannelAuthorizationFailures', 2);
});

test('expired keys, and evicted ones', async () => {
  await times(12, (index) => client.psetex(`short${index}`, 50, 'v'));
  await adds('Reclaimed', 12);
  const items = await client.dbsize();
  const written = 420;
  for (let from = 0; from < written; from += 20) {
    await times(20, (index) => client.setex(`big${from + index}`, 10_000, mebibyte));
  }
  const gone = items + written - (await client.dbsize());
  expect(gone).toBeGreaterThan(0);
  await adds('Evictions', gone);
  await stands('CurrItems', items + written - gone);
  const [used, most] = [await infoNumber('used_memory'), await infoNumber('maxmemory')];
  const seen = await waitFor(
    () => latest('BytesUsedForCache'),
    (bytes) => bytes !== undefined && Math.abs(bytes / used - 1) < 0.02,
    { what: `BytesUsedForCache to be about ${used}` },
  );
  expect(seen).toBeGreaterThan(300e6);
  const share = await latest('DatabaseMemoryUsagePercentage');
  expect(Math.abs(share! - (used / most) * 100)).toBeLessThan(2);
  expect(await total('NetworkBytesIn')).toBeGreaterThan(written * mebibyte.length);
});

test('replication: bytes, roles, links, and no lag that is not there', async () => {
  const offset = await infoNumber('master_repl_offset');
  const before = await total('ReplicationBytes');
  await times(50, (index) => client.set(`r${index}`, Buffer.alloc(1_000)));
  const after = await infoNumber('master_repl_offset');
  await waitFor(
    () => total('ReplicationBytes'),
    (bytes) => bytes - before >= after - offset,
    { what: 'ReplicationBytes to be those of the stream' },
  );
  // Pings and acknowledged offsets go on.
  expect((await total('ReplicationBytes')) - before).toBeLessThan(after - offset + 5_000);
  await stands('IsMaster', 1);
  await stands('IsMaster', 0, replica);
  await stands('MasterLinkHealthStatus', 1, replica);
  await waitFor(
    () => latest('ReplicationLag', replica),
    (lag) => lag !== undefined && lag < 1,
    {
      what: 'the replica to be there',
    },
  );
  expect(await latest('ReplicationLag')).toBeUndefined();
});

test("the engine's processor, as the kernel counts it", async () => {
  // Too short each to be in anybody's way, and as many as it takes to be seen.
  const spin = 'local n = 0 for i = 1, 4000000 do n = n + i % 7 end return n';
  const enoughSeconds = 0.8;
  const before = mainThreadSeconds(primary);
  const beforeMs = Date.now();
  let used = 0;
  for (let count = 0; count < 500 && used < enoughSeconds; count += 1) {
    await client.eval(spin, 0);
    used = mainThreadSeconds(primary) - before;
  }
  expect(used).toBeGreaterThanOrEqual(enoughSeconds);
  const afterMs = Date.now();
  await waitFor(
    async () => {
      const points = await statistics('EngineCPUUtilization', dimensionsOf(primary), 1, beforeMs);
      return points
        .filter(({ Timestamp }) => Timestamp!.getTime() <= afterMs + 2_000)
        .reduce((sum, { Average }) => sum + Average! / 100, 0);
    },
    (seconds) => Math.abs(seconds / used - 1) < 0.15,
    { what: `about ${used} s of the processor to be told of` },
  );
  const group = await statistics('EngineCPUUtilization', [{ Name: 'ReplicationGroupId', Value: 'shop' }]);
  expect(group.at(-1)!.SampleCount).toBe(2);
});

test('a minute has one datum, also when the service was killed in it; both dimension sets tell the same', async () => {
  const hits = await total('CacheHits');
  await times(10, () => client.get('r1'));
  await larder.kill();
  await times(5, () => client.get('r2'));
  await larder.start();
  connectApi();
  const lastMinuteMs = Date.now() - (Date.now() % 60_000);
  await waitFor(
    async () => (await statistics('CacheHits', dimensionsOf(primary), 60)).at(-1)?.Timestamp?.getTime() ?? 0,
    (atMs) => atMs >= lastMinuteMs,
    { what: 'the minute to be over', limitMs: 90_000 },
  );
  const minutes = await statistics('CacheHits', dimensionsOf(primary), 60);
  for (const { SampleCount } of minutes) expect(SampleCount).toBe(1);
  expect(minutes.reduce((sum, { Sum }) => sum + Sum!, 0)).toBe(hits + 15);
  const alone = await statistics('CacheHits', [{ Name: 'CacheClusterId', Value: primary }], 60);
  expect(alone).toEqual(minutes);
}, 150_000);

test('every metric of the list is there, with its unit and dimensions', async () => {
  const listed = new Set<string>();
  const keyOf = (name: string, dimensions: Metric['Dimensions']) =>
    JSON.stringify([name, ...dimensions!.map(({ Name, Value }) => `${Name}=${Value}`).sort()]);
  for await (const { Metrics } of paginateListMetrics({ client: cloudWatch }, { Namespace: namespace })) {
    for (const { MetricName, Dimensions } of Metrics!) listed.add(keyOf(MetricName!, Dimensions));
  }
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const { name, unit, dimensions } of nodeMetrics('valkey')) {
    // No engine here has these modules.
    if (/^(?:Json|Search)Based/.test(name)) continue;
    const clusterId = name === 'ReplicationLag' ? replica : primary;
    const sets = [
      dimensionsOf(clusterId),
      ...(dimensions === 'both' ? [dimensionsOf(clusterId).slice(0, 1)] : []),
    ];
    for (const set of sets) {
      if (!listed.has(keyOf(name, set))) missing.push(keyOf(name, set));
      const [point] = await statistics(name, set);
      if (point?.Unit !== unit) wrong.push(`${name}: ${point?.Unit}`);
    }
  }
  const group = { Name: 'ReplicationGroupId', Value: 'shop' };
  const values = { NodeGroupId: '0001', Role: 'Primary' };
  for (const { name, by } of groupMetrics) {
    for (const set of [[group], ...by.map((Name) => [group, { Name, Value: values[Name] }])]) {
      if (!listed.has(keyOf(name, set))) missing.push(keyOf(name, set));
    }
  }
  expect({ missing, wrong }).toEqual({ missing: [], wrong: [] });
  expect((await describeGroup(larder, 'shop')).Status).toBe('available');
});

test('Memcached: what its clients did, on each node and on the cluster', async () => {
  await larder.client.send(
    new CreateCacheClusterCommand({ CacheClusterId: 'mem', Engine: 'memcached', NumCacheNodes: 2 }),
  );
  const cluster = await waitFor(
    () => describeCluster(larder, 'mem'),
    ({ CacheClusterStatus }) => CacheClusterStatus === 'available',
    { what: 'the cluster to be available', limitMs: 60_000 },
  );
  const [first] = cluster.CacheNodes!.map(({ Endpoint }) => Endpoint!);
  const of = (name: string, nodeId?: string) =>
    statistics(name, [
      { Name: 'CacheClusterId', Value: 'mem' },
      ...(nodeId === undefined ? [] : [{ Name: 'CacheNodeId', Value: nodeId }]),
    ]);
  await waitFor(
    () => of('GetHits'),
    (points) => points.length > 0,
    { what: 'metrics of mem' },
  );
  const ask = (text: string, ending?: RegExp) => memcached(first!, text, ending);
  await times(8, (index) => ask(`set k${index} 0 0 1\r\nv\r\n`));
  await times(6, () => ask('get k1\r\n', /END\r\n$/));
  await times(5, () => ask('get nothing\r\n', /END\r\n$/));
  await times(4, () => ask('delete nothing\r\n'));
  await times(3, () => ask('touch k2 100\r\n'));
  await ask('set n 0 0 1\r\n1\r\n');
  await times(2, () => ask('incr n 1\r\n'));
  const wanted = {
    ...{
      CmdSet: 9,
      CmdGet: 11,
      GetHits: 6,
      GetMisses: 5,
      DeleteMisses: 4,
      TouchHits: 3,
      IncrHits: 2,
      NewItems: 9,
    },
    NewConnections: 8 + 6 + 5 + 4 + 3 + 1 + 2,
  };
  const sum = async (name: string, nodeId?: string) =>
    (await of(name, nodeId)).reduce((all, { Sum }) => all + Sum!, 0);
  for (const [name, count] of Object.entries(wanted)) {
    await waitFor(
      () => sum(name, '0001'),
      (seen) => seen >= count,
      { what: `${name} to reach ${count}` },
    );
    expect({ [name]: await sum(name, '0001') }).toEqual({ [name]: count });
    expect({ [name]: await sum(name) }).toEqual({ [name]: count });
  }
  expect(await sum('CmdSet', '0002')).toBe(0);
  await waitFor(
    async () => (await of('CurrItems', '0001')).at(-1)?.Average,
    (items) => items === 9,
    {
      what: 'CurrItems',
    },
  );
  await waitFor(
    async () => (await of('CurrConnections', '0001')).at(-1)?.Average,
    (open) => open === 0,
    {
      what: 'CurrConnections',
    },
  );
  expect((await of('CurrConnections')).at(-1)!.SampleCount).toBe(2);
  for (const { name, unit } of nodeMetrics('memcached')) {
    expect({ name, Unit: (await of(name, '0001')).at(-1)?.Unit }).toEqual({ name, Unit: unit });
  }
});
