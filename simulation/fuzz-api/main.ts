/**
 * `npm run fuzz:api`: hostile requests over the wire to a service that holds something.
 *
 * Promised: no 500, no crash, an answer within bounded time, no growth of memory, and a request that is refused
 * changes nothing: what the API describes before and after a batch of refused ones is the same.
 */
import { readFileSync } from 'node:fs';
import {
  CreateCacheClusterCommand,
  CreateCacheParameterGroupCommand,
  CreateUserCommand,
  CreateUserGroupCommand,
  DeleteCacheClusterCommand,
  DeleteCacheParameterGroupCommand,
  DeleteCacheSubnetGroupCommand,
  DeleteReplicationGroupCommand,
  DeleteSnapshotCommand,
  DeleteUserCommand,
  DeleteUserGroupCommand,
  DescribeCacheClustersCommand,
  DescribeCacheParameterGroupsCommand,
  DescribeCacheParametersCommand,
  DescribeCacheSubnetGroupsCommand,
  DescribeReplicationGroupsCommand,
  DescribeSnapshotsCommand,
  DescribeUserGroupsCommand,
  DescribeUsersCommand,
} from '@aws-sdk/client-elasticache';
import { helpText, numberOption, parseOptions, UsageError } from '../../bench/command-line.ts';
import { createGroup } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { randomFrom } from '../../testing/seed.ts';
import { type RawAnswer, signedSender } from '../../testing/signed-request.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { changesNothing, type FuzzRequest, nextRequest } from './requests.ts';

const optionTexts = {
  requests: { value: 'N', text: 'how many (100000)' },
  seed: { value: 'S', text: 'a number; the same requests come again (by chance)' },
};
const batchSize = 100;
const together = 4;
/** Starting engines is what takes time: they are cleared away several at once. */
const acceptedUntilRestock = 20;
const slowestMs = 10_000;
/** After the first fifth, by when every code path was warm. */
const growthLimitMiB = 60;

interface Tally {
  readonly byStatus: Map<number, number>;
  readonly byOperation: Map<string, { answered: number; refused: number }>;
  accepted: number;
  problems: string[];
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\nTry --help.\n`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose =
      'Sends hostile requests to a service that holds something, and looks whether it stays as it was.';
    process.stdout.write(`${helpText('npm run fuzz:api -- [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const requests = numberOption('requests', options.requests, {
    fallback: 100_000,
    least: 1,
    most: 10_000_000,
  });
  const seed = numberOption('seed', options.seed, {
    fallback: Math.floor(Math.random() * 2 ** 32),
    least: 0,
    most: 2 ** 32 - 1,
  });
  process.stdout.write(`${requests} requests, seed ${seed}\n`);
  const larder = await startLarder();
  try {
    await furnish(larder);
    return await fuzz(larder, requests, seed);
  } finally {
    await larder.remove();
  }
}

/** Something to spoil. What is there already is left as it is. */
async function furnish(larder: TestLarder): Promise<void> {
  const { client } = larder;
  const make = (work: Promise<unknown>) => work.catch(ignoreExisting);
  await make(createGroup(larder, 'keep', { NumCacheClusters: 2 }));
  await make(
    client.send(
      new CreateCacheClusterCommand({ CacheClusterId: 'memo', Engine: 'memcached', NumCacheNodes: 2 }),
    ),
  );
  await make(
    client.send(
      new CreateCacheParameterGroupCommand({
        CacheParameterGroupName: 'mine',
        CacheParameterGroupFamily: 'valkey9',
        Description: 'mine',
      }),
    ),
  );
  await make(
    client.send(
      new CreateUserCommand({
        UserId: 'ann',
        UserName: 'ann',
        Engine: 'valkey',
        AccessString: 'on ~* +@all',
        Passwords: ['a-password-of-ann-is-long'],
      }),
    ),
  );
  await make(
    client.send(new CreateUserGroupCommand({ UserGroupId: 'people', Engine: 'valkey', UserIds: ['ann'] })),
  );
  await settled(larder);
}

function ignoreExisting(error: Error): void {
  if (!/AlreadyExists|DuplicateUserName/.test(error.name)) throw error;
}

async function fuzz(larder: TestLarder, requests: number, seed: number): Promise<number> {
  const random = randomFrom(seed);
  const senders = {
    elasticache: signedSender(larder.access, together),
    monitoring: signedSender(larder.access, together, 'monitoring'),
  };
  const send = (request: FuzzRequest) => senders[request.service](request);
  const tally: Tally = { byStatus: new Map(), byOperation: new Map(), accepted: 0, problems: [] };
  const beganAtMs = performance.now();
  let warmMiB = 0;
  let compared = 0;
  let restockedAt = 0;
  for (let sent = 0; sent < requests && tally.problems.length === 0; sent += batchSize) {
    const before = await fingerprint(larder);
    const acceptedBefore = tally.accepted;
    const batch = Array.from({ length: Math.min(batchSize, requests - sent) }, () => nextRequest(random));
    for (let start = 0; start < batch.length; start += together) {
      await Promise.all(batch.slice(start, start + together).map((each) => tryOne(each, send, tally)));
    }
    if (larder.ended) tally.problems.push(`The service ended: ${larder.log.slice(-1_000)}`);
    else if (tally.accepted === acceptedBefore) {
      compared += 1;
      const after = await fingerprint(larder);
      if (after !== before) tally.problems.push(`Refused requests changed something:\n${before}\n${after}`);
    } else if (tally.accepted - restockedAt >= acceptedUntilRestock) {
      await restock(larder);
      restockedAt = tally.accepted;
    } else await settled(larder);
    if (sent >= requests / 5 && warmMiB === 0) warmMiB = residentMiB(larder.pid);
    if (sent % 10_000 < batchSize) {
      process.stderr.write(`… ${sent} of ${requests}, ${residentMiB(larder.pid).toFixed(0)} MiB\n`);
    }
  }
  const grownMiB = larder.ended ? Number.NaN : residentMiB(larder.pid) - warmMiB;
  if (grownMiB > growthLimitMiB) tally.problems.push(`Its memory grew by ${grownMiB.toFixed(0)} MiB.`);
  const seconds = (performance.now() - beganAtMs) / 1_000;
  const statuses = [...tally.byStatus]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${status}: ${count}`);
  process.stdout.write(
    `answers by status: ${statuses.join(', ')}\n` +
      `operations reached: ${tally.byOperation.size}; accepted changes: ${tally.accepted}; ` +
      `batches compared before and after: ${compared}\n` +
      `memory after the warm-up: ${warmMiB.toFixed(0)} MiB, then ${grownMiB >= 0 ? '+' : ''}${grownMiB.toFixed(0)} MiB; ` +
      `${seconds.toFixed(0)} s\n`,
  );
  for (const problem of tally.problems)
    process.stdout.write(`✗ ${problem}\n  Repeat it with --seed ${seed}.\n`);
  return tally.problems.length === 0 ? 0 : 1;
}

async function tryOne(
  request: FuzzRequest,
  send: (request: FuzzRequest) => Promise<RawAnswer>,
  tally: Tally,
): Promise<void> {
  try {
    const { status, body, requestId, tookMs } = await send(request);
    tally.byStatus.set(status, (tally.byStatus.get(status) ?? 0) + 1);
    if (request.operation !== undefined) {
      const seen = tally.byOperation.get(request.operation) ?? { answered: 0, refused: 0 };
      if (status === 200) seen.answered += 1;
      else seen.refused += 1;
      tally.byOperation.set(request.operation, seen);
    }
    if (status === 200 && !changesNothing(request)) tally.accepted += 1;
    const shown = `${request.method} ${request.path} ${request.body.toString('latin1').slice(0, 600)}`;
    if (status >= 500) tally.problems.push(`${status} for ${shown}: ${body.slice(0, 400)}`);
    if (tookMs > slowestMs) tally.problems.push(`${tookMs.toFixed(0)} ms for ${shown}`);
    if (requestId === undefined && !/"status":"ok"/.test(body))
      tally.problems.push(`No request id in ${body.slice(0, 200)} for ${shown}`);
  } catch (error) {
    // A body that is too large is answered while it is still being sent; what is sent then breaks off.
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['ECONNRESET', 'EPIPE'].includes(code) || request.body.length < 100_000)
      tally.problems.push(String(error));
  }
}

/** What the API tells of everything, without what changes by itself. */
async function fingerprint({ client }: TestLarder): Promise<string> {
  const seen = [
    (await client.send(new DescribeReplicationGroupsCommand({}))).ReplicationGroups,
    (await client.send(new DescribeCacheClustersCommand({ ShowCacheNodeInfo: true }))).CacheClusters,
    (await client.send(new DescribeCacheParameterGroupsCommand({}))).CacheParameterGroups,
    (await client.send(new DescribeCacheSubnetGroupsCommand({}))).CacheSubnetGroups,
    (await client.send(new DescribeUsersCommand({}))).Users,
    (await client.send(new DescribeUserGroupsCommand({}))).UserGroups,
  ];
  const named = seen[2] as { CacheParameterGroupName?: string }[];
  for (const { CacheParameterGroupName } of named) {
    if (CacheParameterGroupName!.startsWith('default.')) continue;
    const { Parameters } = await client.send(
      new DescribeCacheParametersCommand({ CacheParameterGroupName, Source: 'user' }),
    );
    seen.push(Parameters as never);
  }
  return JSON.stringify(seen);
}

/** What lucky requests made goes, so that it does not fill the machine, and what they took away comes back. */
async function restock(larder: TestLarder): Promise<void> {
  const { client } = larder;
  const drop = (work: Promise<unknown>) => work.catch(() => {});
  await settled(larder);
  const { ReplicationGroups } = await client.send(new DescribeReplicationGroupsCommand({}));
  for (const { ReplicationGroupId } of ReplicationGroups!) {
    if (ReplicationGroupId !== 'keep')
      await drop(client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId })));
  }
  const { CacheClusters } = await client.send(
    new DescribeCacheClustersCommand({ ShowCacheClustersNotInReplicationGroups: true }),
  );
  for (const { CacheClusterId } of CacheClusters!) {
    if (CacheClusterId !== 'memo') await drop(client.send(new DeleteCacheClusterCommand({ CacheClusterId })));
  }
  const { CacheParameterGroups } = await client.send(new DescribeCacheParameterGroupsCommand({}));
  for (const { CacheParameterGroupName } of CacheParameterGroups!) {
    if (!/^default\.|^mine$/.test(CacheParameterGroupName!)) {
      await drop(client.send(new DeleteCacheParameterGroupCommand({ CacheParameterGroupName })));
    }
  }
  const { CacheSubnetGroups } = await client.send(new DescribeCacheSubnetGroupsCommand({}));
  for (const { CacheSubnetGroupName } of CacheSubnetGroups!) {
    if (CacheSubnetGroupName !== 'default')
      await drop(client.send(new DeleteCacheSubnetGroupCommand({ CacheSubnetGroupName })));
  }
  const { UserGroups } = await client.send(new DescribeUserGroupsCommand({}));
  for (const { UserGroupId } of UserGroups!) {
    if (UserGroupId !== 'people') await drop(client.send(new DeleteUserGroupCommand({ UserGroupId })));
  }
  const { Users } = await client.send(new DescribeUsersCommand({}));
  for (const { UserId } of Users!) {
    if (UserId !== 'ann') await drop(client.send(new DeleteUserCommand({ UserId })));
  }
  const { Snapshots } = await client.send(new DescribeSnapshotsCommand({}));
  for (const { SnapshotName } of Snapshots!)
    await drop(client.send(new DeleteSnapshotCommand({ SnapshotName })));
  await settled(larder);
  await furnish(larder);
}

/** Nothing is under way, so that what is described stays the same. */
async function settled({ client }: TestLarder): Promise<void> {
  await waitFor(
    async () => {
      const { ReplicationGroups } = await client.send(new DescribeReplicationGroupsCommand({}));
      const { CacheClusters } = await client.send(new DescribeCacheClustersCommand({}));
      return [
        ...ReplicationGroups!.map(({ Status }) => Status),
        ...CacheClusters!.map(({ CacheClusterStatus }) => CacheClusterStatus),
      ];
    },
    (statuses) => statuses.every((status) => /^(?:available|create-failed|restore-failed)$/.test(status!)),
    { what: 'everything to be available', limitMs: 60_000 },
  );
}

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
}
