/** The promise: boto3 works with nothing but an endpoint, its waiters and paginators among it. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AwsProgram, onPath } from '../../testing/aws-clients.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';

const script = fileURLToPath(new URL('boto3-walk.py', import.meta.url));
let larder: TestLarder;
let python: AwsProgram | undefined;

beforeAll(async () => {
  python = await onPath('python3', ['-c', 'import boto3; print("boto3", boto3.__version__)']);
  if (python === undefined) console.warn('NOT TESTED: there is no python3 with boto3 on PATH.');
  else console.log(python.version);
  larder = await startLarder();
});

afterAll(() => larder?.remove());

test('a group from its creation to its end', async ({ skip }) => {
  skip(python === undefined, 'there is no python3 with boto3 on PATH');
  const { code, stdout, stderr } = await python!.run(larder.access, [script]);
  expect([code, stderr]).toEqual([0, '']);
  const seen = JSON.parse(stdout);
  expect(seen).toMatchObject({
    created: 'creating',
    available: ['available', 'von boto3: ä'],
    nodeType: 'cache.t4g.small',
    tags: [{ Key: 'team', Value: 'shop' }],
    members: [
      ['boto-001', 'us-east-1a'],
      ['boto-002', 'us-east-1b'],
    ],
    errors: [
      ['ReplicationGroupNotFoundFault', 'ReplicationGroupNotFoundFault', 404],
      ['CacheClusterNotFound', 'CacheClusterNotFoundFault', 404],
      ['ReplicationGroupAlreadyExists', 'ReplicationGroupAlreadyExistsFault', 400],
      ['UserNotFound', 'UserNotFoundFault', 404],
      ['NoOperationFault', 'NoOperationFault', 400],
      ['UnsupportedOperation', 'ClientError', 400],
    ],
    byClass: expect.stringContaining('Replication group nobody not found'),
    waiter: expect.stringContaining('Waiter encountered a terminal failure state'),
    deleting: 'deleting',
    events: [
      'Replication group boto created',
      'Modifying replication group boto',
      'Replication group boto modified',
      'Deleting replication group boto',
      'Replication group boto deleted',
    ],
  });
  expect(seen.parameters.pages).toBeGreaterThan(2);
  expect(seen.parameters.distinct).toBe(seen.parameters.names);
  expect(seen.defaults).toBe(seen.parameters.names);
  expect(larder.processes()).toEqual([]);
});
