/**
 * The promise: what the service logs is one JSON object a line, requests carry the id that their clients got, and nothing secret
 * is in it, however much it is asked to log.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateUserCommand,
  CreateUserGroupCommand,
  DescribeReplicationGroupsCommand,
  ModifyReplicationGroupCommand,
} from '@aws-sdk/client-elasticache';
import { CreateTopicCommand, PublishCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGroup, errorName, groupAvailable } from '../testing/elasticache-requests.ts';
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { waitFor } from '../testing/wait-for.ts';

const userPassword = 'a-password-of-a-user-0001';
const authToken = 'a-token-of-a-group-0001';
const smtpPassword = 'a-word-of-the-mail-server';
let folder: string;
let larder: TestLarder;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'larder-service-log-'));
  const smtp = join(folder, 'smtp');
  writeFileSync(smtp, `smtp://larder:${smtpPassword}@127.0.0.1:1\n`);
  larder = await startLarder({
    logLevel: 'debug',
    flags: ['--smtp-url-file', smtp, '--mail-from', 'larder@example.com', '--webhooks-to-loopback'],
  });
});
afterAll(async () => {
  await larder?.remove();
  rmSync(folder, { recursive: true });
});

test('the log is structured, tells requests by their ids, and keeps secrets', async () => {
  const { client, access } = larder;
  const UserId = 'somebody';
  await client.send(
    new CreateUserCommand({
      UserId,
      UserName: UserId,
      Engine: 'valkey',
      AccessString: 'on ~* +@read',
      Passwords: [userPassword],
    }),
  );
  await client.send(new CreateUserGroupCommand({ UserGroupId: 'all', Engine: 'valkey', UserIds: [UserId] }));
  await createGroup(larder, 'quiet', {
    NumCacheClusters: 2,
    AutomaticFailoverEnabled: true,
    TransitEncryptionEnabled: true,
    AuthToken: authToken,
  });
  await groupAvailable(larder, 'quiet');
  await client.send(
    new ModifyReplicationGroupCommand({
      ReplicationGroupId: 'quiet',
      ApplyImmediately: true,
      AuthToken: `${authToken}-next`,
      AuthTokenUpdateStrategy: 'ROTATE',
    }),
  );
  await groupAvailable(larder, 'quiet');
  // Deliveries that fail, and a request that does.
  const sns = new SNSClient({ endpoint: access.endpoint, region: access.region, credentials: access });
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'quiet' }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'email', Endpoint: 'ops@example.com' }));
  const { SubscriptionArn } = await sns.send(
    new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: 'http://127.0.0.1:1/hook' }),
  );
  const told = await larderCommand([
    ...['topics', 'secret', SubscriptionArn!, '--json', '--data-dir', larder.dataDirectory],
  ]);
  const { secret: webhookSecret } = JSON.parse(told.stdout) as { secret: string };
  await sns.send(new PublishCommand({ TopicArn, Message: 'm' }));
  await waitFor(
    () => larder.log,
    (log) => (log.match(/"A message was not delivered/g) ?? []).length >= 2,
    { what: 'both deliveries to fail' },
  );
  expect(await errorName(createGroup(larder, 'quiet'))).toBe('ReplicationGroupAlreadyExistsFault');
  const { $metadata } = await client.send(new DescribeReplicationGroupsCommand({}));
  await waitFor(
    () => larder.log,
    (log) => log.includes($metadata.requestId!),
    { what: 'the request to be logged' },
  );
  await larder.restart();
  await groupAvailable(larder, 'quiet');
  await larder.terminate();

  const lines = larder.log.split('\n').filter((line) => line !== '');
  expect(lines.length).toBeGreaterThan(25);
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const entry of entries) {
    expect(entry).toMatchObject({
      level: expect.any(Number),
      time: expect.any(Number),
      msg: expect.any(String),
    });
  }
  expect(entries).toContainEqual(
    expect.objectContaining({ requestId: $metadata.requestId, operation: 'DescribeReplicationGroups' }),
  );
  const key = readFileSync(join(larder.dataDirectory, 'secret.key'));
  const everything = larder.log + larder.output;
  for (const [what, secret] of Object.entries({
    'the secret access key': access.secretAccessKey,
    "a user's password": userPassword,
    'a token': authToken,
    "the mail server's password": smtpPassword,
    "a webhook's secret": webhookSecret,
    'the key, in hexadecimal': key.toString('hex'),
    'the key, in base64': key.toString('base64'),
  })) {
    expect(secret.length, what).toBeGreaterThan(15);
    expect(everything.includes(secret), what).toBe(false);
  }
  const passwords = readFileSync(
    join(larder.dataDirectory, 'nodes', 'quiet-001.0001', 'engine.conf'),
    'utf8',
  ).match(/(?<=masterauth "?)[0-9a-f]{32,}/g);
  expect(passwords).not.toBeNull();
  for (const password of passwords!) expect(everything).not.toContain(password);
}, 120_000);
