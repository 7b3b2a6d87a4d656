/** The promise: the aws command line works with nothing but an endpoint. Both major versions of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AwsProgram, debianAwsCli, onPath } from '../../testing/aws-clients.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

const programs: readonly {
  readonly title: string;
  readonly id: string;
  readonly find: () => Promise<AwsProgram>;
}[] = [
  {
    title: 'the one on PATH',
    id: 'path',
    find: async () => {
      const found = await onPath('aws', ['--version']);
      if (found === undefined) throw new Error('There is no aws command line on PATH.');
      return found;
    },
  },
  { title: "Debian's", id: 'debian', find: debianAwsCli },
];

describe.each(programs)('$title', ({ id, find }) => {
  let cli: AwsProgram | undefined;
  let missing = '';

  beforeAll(async () => {
    cli = await find().catch((error: Error) => {
      missing = error.message;
      return undefined;
    });
    if (cli === undefined) console.warn(`NOT TESTED: ${missing}`);
    else console.log(`aws command line: ${cli.version}`);
  });

  const aws = (...args: string[]) =>
    cli!.run(larder.access, [
      'elasticache',
      ...args,
      '--endpoint-url',
      larder.access.endpoint,
      '--output',
      'json',
    ]);

  // What the CLI prints is untyped; each test looks at the members it names.
  async function answer(...args: string[]) {
    const { code, stdout, stderr } = await aws(...args);
    expect([args[0], code, stderr]).toEqual([args[0], 0, '']);
    return stdout === '' ? {} : JSON.parse(stdout);
  }

  const available = () =>
    waitFor(
      () => answer('describe-replication-groups', '--replication-group-id', id),
      ({ ReplicationGroups }) => ReplicationGroups[0].Status === 'available',
      { what: `${id} to be available` },
    );

  test('a group from its creation to its end', async ({ skip }) => {
    skip(cli === undefined, missing);
    const made = await answer(
      ...[
        'create-replication-group',
        '--replication-group-id',
        id,
        '--replication-group-description',
        'a "shop" & more',
      ],
      ...['--engine', 'valkey', '--num-cache-clusters', '2', '--automatic-failover-enabled'],
      ...['--preferred-cache-cluster-a-zs', 'us-east-1a', 'us-east-1b', '--tags', 'Key=team,Value=shop'],
    );
    expect(made.ReplicationGroup).toMatchObject({ Status: 'creating', Description: 'a "shop" & more' });
    const { ReplicationGroups } = await available();
    const endpoint = ReplicationGroups[0].NodeGroups[0].PrimaryEndpoint;
    expect(await clients.to(endpoint).set('a', '1')).toBe('OK');
    // The waiter asks once; the next time would be 15 s later.
    await answer('wait', 'replication-group-available', '--replication-group-id', id);

    const changed = await answer(
      ...['modify-replication-group', '--replication-group-id', id, '--apply-immediately'],
      ...['--replication-group-description', 'another', '--cache-node-type', 'cache.t4g.small'],
    );
    expect(changed.ReplicationGroup).toMatchObject({ Status: 'modifying', Description: 'another' });
    await available();
    const clusters = await answer('describe-cache-clusters', '--show-cache-node-info', '--page-size', '20');
    const members = clusters.CacheClusters.filter(
      (each: { ReplicationGroupId: string }) => each.ReplicationGroupId === id,
    );
    expect(members).toMatchObject([
      { CacheNodeType: 'cache.t4g.small', CacheNodes: [{ CustomerAvailabilityZone: 'us-east-1a' }] },
      { CacheNodeType: 'cache.t4g.small', CacheNodes: [{ CustomerAvailabilityZone: 'us-east-1b' }] },
    ]);

    const { ARN } = ReplicationGroups[0];
    await answer('add-tags-to-resource', '--resource-name', ARN, '--tags', 'Key=stage,Value=test');
    await answer('remove-tags-from-resource', '--resource-name', ARN, '--tag-keys', 'team');
    expect(await answer('list-tags-for-resource', '--resource-name', ARN)).toEqual({
      TagList: [{ Key: 'stage', Value: 'test' }],
    });

    const deleted = await answer('delete-replication-group', '--replication-group-id', id);
    expect(deleted.ReplicationGroup.Status).toBe('deleting');
    const gone = await waitFor(
      () => aws('describe-replication-groups', '--replication-group-id', id),
      ({ code }) => code !== 0,
      { what: `${id} to be gone` },
    );
    expect(gone.stderr).toContain('(ReplicationGroupNotFoundFault)');
    await answer('wait', 'replication-group-deleted', '--replication-group-id', id);
    const events = await answer(
      ...['describe-events', '--source-type', 'replication-group', '--source-identifier', id],
      ...['--query', 'Events[].Message'],
    );
    expect(events).toEqual([
      `Replication group ${id} created`,
      `Modifying replication group ${id}`,
      `Replication group ${id} modified`,
      `Deleting replication group ${id}`,
      `Replication group ${id} deleted`,
    ]);
  });

  test('errors by their codes', async ({ skip }) => {
    skip(cli === undefined, missing);
    const unknown = await aws('describe-cache-clusters', '--cache-cluster-id', 'nobody');
    expect(unknown.code).toBeGreaterThan(0);
    expect(unknown.stderr).toContain(
      'An error occurred (CacheClusterNotFound) when calling the DescribeCacheClusters operation',
    );
    const wrong = await cli!.run({ ...larder.access, secretAccessKey: 'x'.repeat(40) }, [
      'elasticache',
      'describe-events',
      '--endpoint-url',
      larder.access.endpoint,
    ]);
    expect(wrong.stderr).toContain('(SignatureDoesNotMatch)');
  });
});
