/**
 * The promise: what engines log arrives where a group's log delivery says, each entry once, also over a kill of the
 * service; what was turned off is no longer delivered; and what is in the way is told.
 */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CloudWatchLogsClient,
  FilterLogEventsCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import {
  CreateCacheClusterCommand,
  CreateCacheParameterGroupCommand,
  type LogDeliveryConfigurationRequest,
  ModifyCacheParameterGroupCommand,
  ModifyReplicationGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  groupAvailable,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder({ flags: ['--print-logs'] });
  const CacheParameterGroupName = 'logs-all';
  await larder.client.send(
    new CreateCacheParameterGroupCommand({
      CacheParameterGroupName,
      CacheParameterGroupFamily: 'valkey9',
      Description: 'Every command is slow',
    }),
  );
  await larder.client.send(
    new ModifyCacheParameterGroupCommand({
      CacheParameterGroupName,
      ParameterNameValues: [
        { ParameterName: 'slowlog-log-slower-than', ParameterValue: '0' },
        { ParameterName: 'slowlog-max-len', ParameterValue: '1000' },
      ],
    }),
  );
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

function logsClient(): CloudWatchLogsClient {
  const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
  return new CloudWatchLogsClient({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
}

function slowLog(LogGroup: string): LogDeliveryConfigurationRequest {
  return {
    LogType: 'slow-log',
    DestinationType: 'cloudwatch-logs',
    DestinationDetails: { CloudWatchLogsDetails: { LogGroup } },
    LogFormat: 'json',
  };
}

function engineLog(DeliveryStream: string): LogDeliveryConfigurationRequest {
  return {
    LogType: 'engine-log',
    DestinationType: 'kinesis-firehose',
    DestinationDetails: { KinesisFirehoseDetails: { DeliveryStream } },
    LogFormat: 'text',
  };
}

const fileOf = (destination: string, cluster: string, logType: string) =>
  join(larder.dataDirectory, 'logs', destination, 'elasticache', 'valkey', cluster, '0001', logType);

async function linesOf(destination: string, cluster: string, logType: string): Promise<string[]> {
  return (await readFile(fileOf(destination, cluster, logType), 'utf8')).split('\n').slice(0, -1);
}

/** Slow commands named so, as delivered. */
async function slowCommands(cluster: string, command: string): Promise<Record<string, unknown>[]> {
  const lines = await linesOf('shop/slow', cluster, 'slow-log');
  return lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ Command }) => String(Command).split(' ')[0] === command);
}

async function modifyLogs(id: string, ...changes: LogDeliveryConfigurationRequest[]): Promise<void> {
  await larder.client.send(
    new ModifyReplicationGroupCommand({
      ReplicationGroupId: id,
      ApplyImmediately: true,
      LogDeliveryConfigurations: changes,
    }),
  );
}

test('slow commands and what engines print are delivered once, until it is turned off', {
  timeout: 120_000,
}, async () => {
  await createGroup(larder, 'shop', {
    NumCacheClusters: 2,
    CacheParameterGroupName: 'logs-all',
    LogDeliveryConfigurations: [engineLog('shop-engines')],
  });
  const group = await groupAvailable(larder, 'shop');
  const primary = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
  const once = (command: string, count: number) =>
    waitFor(
      () => slowCommands('shop-001', command),
      (found) => found.length >= count,
      { what: `${command} to be delivered` },
    );

  /** The primary tells of its replica's death; when that is delivered, a pass was made. */
  const untilMoreIsDelivered = async () => {
    const before = (await linesOf('shop-engines', 'shop-001', 'engine-log')).length;
    const replica = await waitFor(
      () => larder.processes().find(({ nodeId }) => nodeId === 'shop-002.0001'),
      (found) => found !== undefined,
      { what: 'a replica' },
    );
    endProcess(replica!.pid);
    await waitFor(
      () => linesOf('shop-engines', 'shop-001', 'engine-log'),
      (found) => found.length > before,
      { what: 'the primary to tell of its replica' },
    );
  };

  await effect(
    'CreateReplicationGroup',
    'what both engines printed from their first line on, in files',
    async () => {
      for (const cluster of ['shop-001', 'shop-002']) {
        const lines = await waitFor(
          () => linesOf('shop-engines', cluster, 'engine-log'),
          (found) => found.some((line) => line.includes('Ready to accept connections')),
          { what: `the engine log of ${cluster}` },
        );
        const printed = await readFile(
          join(larder.dataDirectory, 'nodes', `${cluster}.0001`, 'engine.log'),
          'utf8',
        );
        const headed = printed.split('\n').filter((line) => /^\d+:[MSC] /.test(line));
        const message = (line: string) => line.slice(line.search(/ [.\-*#] /) + 3);
        // Delivered are the first ones of those printed, each of them once.
        const delivered = lines.filter((line) => / UTC [.\-*#] /.test(line));
        expect(delivered.map(message)).toEqual(headed.slice(0, delivered.length).map(message));
      }
    },
  );

  await effect('ModifyReplicationGroup', 'slow commands in a file, without their arguments', async () => {
    await modifyLogs('shop', slowLog('shop/slow'));
    for (let index = 0; index < 10; index += 1) await primary.set(`secret-${index}`, 'secret');
    const [first] = await once('set', 10);
    expect(Object.keys(first!)).toEqual([
      ...['CacheClusterId', 'CacheNodeId', 'Id', 'Timestamp', 'Duration (us)', 'Command'],
      ...['ClientAddress', 'ClientName'],
    ]);
    expect(first).toMatchObject({
      CacheClusterId: 'shop-001',
      CacheNodeId: '0001',
      Command: 'set ... (2 more arguments)',
    });
    const file = fileOf('shop/slow', 'shop-001', 'slow-log');
    expect(await readFile(file, 'utf8')).not.toContain('secret');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await describeGroup(larder, 'shop')).LogDeliveryConfigurations).toMatchObject([
      { LogType: 'engine-log', Status: 'active' },
      { LogType: 'slow-log', Status: 'active' },
    ]);
  });

  // Logged while the service runs, while it is dead, and after it is back.
  await primary.append('n', '1');
  // A service that is back delivers at once: so the next kill falls into that, or near it.
  for (let round = 0; round < 4; round += 1) {
    await larder.kill();
    for (let index = 0; index < 75; index += 1) await primary.append('n', '1');
    await larder.start();
  }
  await primary.append('n', '1');
  await once('append', 302);
  await primary.strlen('n');
  await once('strlen', 1);
  expect(await slowCommands('shop-001', 'append')).toHaveLength(302);
  expect(await slowCommands('shop-001', 'set')).toHaveLength(10);

  // The same in the log group, each entry once over those kills, and asked for as of CloudWatch Logs.
  const logs = logsClient();
  const filtered = async (filterPattern: string) => {
    const { events } = await logs.send(
      new FilterLogEventsCommand({ logGroupName: 'shop/slow', filterPattern }),
    );
    return events!;
  };
  await waitFor(
    () => filtered('{ $.CacheClusterId = "shop-001" && $.Command = "strlen*" }'),
    (found) => found.length === 1,
    { what: 'strlen to be in the log group' },
  );
  const appended = await filtered('{ $.CacheClusterId = "shop-001" && $.Command = "append*" }');
  expect(appended).toHaveLength(302);
  expect(new Set(appended.map(({ message }) => JSON.parse(message!).Id)).size).toBe(302);
  expect(appended[0]).toMatchObject({ logStreamName: 'elasticache/valkey/shop-001/0001/slow-log' });
  const { events } = await logs.send(
    new GetLogEventsCommand({
      logGroupName: 'shop-engines',
      logStreamName: 'elasticache/valkey/shop-001/0001/engine-log',
      startFromHead: true,
    }),
  );
  expect(events!.map(({ message }) => message).join()).toContain('Ready to accept connections');
  expect(larder.output).toContain('"logGroup":"shop/slow"');
  logs.destroy();

  await effect('ModifyReplicationGroup', 'one log is turned off, the other is delivered on', async () => {
    await modifyLogs('shop', { LogType: 'slow-log', Enabled: false });
    expect((await describeGroup(larder, 'shop')).LogDeliveryConfigurations).toMatchObject([
      { LogType: 'engine-log' },
    ]);
    // After the first of them every pass knows of it.
    await untilMoreIsDelivered();
    await primary.lpush('list', 'x');
    await untilMoreIsDelivered();
    expect(await slowCommands('shop-001', 'lpush')).toEqual([]);
    // Turned on again it begins with what comes then.
    await modifyLogs('shop', slowLog('shop/slow'));
    await waitFor(
      async () => {
        await primary.rpush('list', 'y');
        return slowCommands('shop-001', 'rpush');
      },
      (found) => found.length > 0,
      { what: 'rpush to be delivered' },
    );
    expect(await slowCommands('shop-001', 'lpush')).toEqual([]);
  });
});

test('what is in the way of a log is told, and taken away it is delivered', { timeout: 60_000 }, async () => {
  await groupAvailable(larder, 'shop');
  const logs = join(larder.dataDirectory, 'logs');
  await writeFile(join(logs, 'blocked'), '');
  await effect(
    'CreateCacheCluster',
    'its log delivery shows what is in the way, and a log once it is gone',
    async () => {
      await larder.client.send(
        new CreateCacheClusterCommand({
          CacheClusterId: 'lone',
          Engine: 'valkey',
          NumCacheNodes: 1,
          LogDeliveryConfigurations: [engineLog('blocked')],
        }),
      );
      const shown = (Status: string) =>
        waitFor(
          async () => (await describeCluster(larder, 'lone')).LogDeliveryConfigurations![0]!,
          (found) => found.Status === Status,
          { what: `the delivery to be ${Status}` },
        );
      expect((await shown('error')).Message).toContain('logs/blocked/');
      await rm(join(logs, 'blocked'));
      expect((await shown('active')).Message).toBeUndefined();
      await waitFor(
        () => linesOf('blocked', 'lone', 'engine-log'),
        (found) => found.some((line) => line.includes('Ready to accept connections')),
        { what: 'the engine log' },
      );
    },
  );
});
