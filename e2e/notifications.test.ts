/**
 * The promise: what is published on a topic arrives, signed, at least once and with one id, also over a kill of the
 * service; a group's topic tells what happens to the group; the aws command line and the SDK speak to it unchanged.
 */
import { createHmac } from 'node:crypto';
import { TestFailoverCommand } from '@aws-sdk/client-elasticache';
import {
  CreateTopicCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  PublishCommand,
  SNSClient,
  SubscribeCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { debianAwsCli } from '../testing/aws-clients.ts';
import { createGroup, deleteGroup, groupAvailable, groupGone } from '../testing/elasticache-requests.ts';
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { waitFor } from '../testing/wait-for.ts';
import { type WebhookReceiver, webhookReceiver } from '../testing/webhook-receiver.ts';

let larder: TestLarder;
let receiver: WebhookReceiver | undefined;

beforeAll(async () => {
  larder = await startLarder({ flags: ['--webhooks-to-loopback'] });
});

afterEach(() => receiver?.close());
afterAll(() => larder?.remove());

function sns(): SNSClient {
  const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
  return new SNSClient({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
}

async function topicWithWebhook(Name: string, url: string) {
  const client = sns();
  const { TopicArn } = await client.send(new CreateTopicCommand({ Name }));
  const { SubscriptionArn } = await client.send(
    new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: url }),
  );
  return { client, TopicArn: TopicArn!, SubscriptionArn: SubscriptionArn! };
}

const arrived = (count: number) =>
  waitFor(
    () => receiver!.received.length,
    (length) => length >= count,
    { what: `${count} messages` },
  );

async function deliveries(...flags: string[]) {
  const { stdout } = await larderCommand([
    'topics',
    'deliveries',
    '--json',
    '--data-dir',
    larder.dataDirectory,
    ...flags,
  ]);
  return JSON.parse(stdout) as { messageId: string; status: string; failure?: string }[];
}

const allDelivered = () => waitFor(deliveries, (left) => left.length === 0, { what: 'all to be delivered' });

test('a webhook can check that a message is from here, with the secret that it was told once', async () => {
  receiver = await webhookReceiver();
  const { client, TopicArn, SubscriptionArn } = await topicWithWebhook('signed', receiver.url);
  const told = await larderCommand([
    'topics',
    'secret',
    SubscriptionArn,
    '--json',
    '--data-dir',
    larder.dataDirectory,
  ]);
  const { secret } = JSON.parse(told.stdout) as { secret: string };
  const { MessageId } = await client.send(new PublishCommand({ TopicArn, Subject: 'Look', Message: 'm' }));
  await arrived(1);
  const { headers, body } = receiver.received[0]!;
  const signature = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'))
    .update(`${MessageId}.${headers['webhook-timestamp']}.${body}`)
    .digest('base64');
  expect(headers['webhook-signature']).toBe(`v1,${signature}`);
  expect(JSON.parse(body)).toMatchObject({ MessageId, Message: 'm', Subject: 'Look', TopicArn });
  await allDelivered();
  await client.send(new UnsubscribeCommand({ SubscriptionArn }));
  const { Subscriptions } = await client.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
  expect(Subscriptions ?? []).toEqual([]);
  const { Attributes } = await client.send(new GetTopicAttributesCommand({ TopicArn }));
  expect(Attributes).toMatchObject({ SubscriptionsConfirmed: '0', DeliveriesPending: '0' });
});

test('a kill in the middle of a delivery delivers again, with the same id', async () => {
  let killed: Promise<void> | undefined;
  receiver = await webhookReceiver((count) => {
    if (count === 1) killed = larder.kill();
    return count > 1;
  });
  const { client, TopicArn } = await topicWithWebhook('killed', receiver.url);
  const { MessageId } = await client.send(new PublishCommand({ TopicArn, Message: 'm' }));
  await arrived(1);
  await killed;
  await larder.start();
  await arrived(2);
  await allDelivered();
  expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([MessageId, MessageId]);
});

test("a group's topic tells of its creation, a failover and its end, each once, also over a restart", async () => {
  receiver = await webhookReceiver();
  const { TopicArn } = await topicWithWebhook('caches', receiver.url);
  await createGroup(larder, 'told', {
    NumCacheClusters: 2,
    AutomaticFailoverEnabled: true,
    NotificationTopicArn: TopicArn,
  });
  await groupAvailable(larder, 'told');
  await larder.restart();
  await larder.client.send(new TestFailoverCommand({ ReplicationGroupId: 'told', NodeGroupId: '0001' }));
  const messages = () =>
    receiver!.received.map(({ body }) => (JSON.parse(body) as { Message: string }).Message);
  await waitFor(messages, (seen) => seen.some((each) => each.includes('FailoverComplete')), {
    what: 'the failover to be told',
  });
  await groupAvailable(larder, 'told');
  await deleteGroup(larder, 'told');
  await groupGone(larder, 'told');
  await waitFor(
    messages,
    (seen) => seen.some((each) => each === '{"ElastiCache:DeleteCacheClusterComplete":"told"}'),
    {
      what: 'the deletion to be told',
    },
  );
  await allDelivered();
  const count = (name: string, of: string) =>
    messages().filter((each) => each === `{"ElastiCache:${name}":"${of}"}`).length;
  expect(count('CreateReplicationGroupComplete', 'told')).toBe(1);
  expect(count('FailoverComplete', 'told-002')).toBe(1);
  expect(count('DeleteCacheClusterComplete', 'told')).toBe(1);
  const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
  expect(new Set(ids).size).toBe(ids.length);
}, 120_000);

test('the aws command line makes a topic, subscribes and publishes', async () => {
  const cli = await debianAwsCli();
  receiver = await webhookReceiver();
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli.run(larder.access, [
      'sns',
      ...args,
      '--endpoint-url',
      larder.access.endpoint,
      '--output',
      'json',
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return stdout === '' ? {} : JSON.parse(stdout);
  };
  const { TopicArn: arn } = await run('create-topic', '--name', 'cli');
  await run('subscribe', '--topic-arn', arn, '--protocol', 'http', '--notification-endpoint', receiver.url);
  const { MessageId } = await run('publish', '--topic-arn', arn, '--message', 'from the command line');
  await arrived(1);
  expect(receiver.received[0]!.headers['webhook-id']).toBe(MessageId);
  expect((await run('list-topics')).Topics).toContainEqual({ TopicArn: arn });
  await run('delete-topic', '--topic-arn', arn);
  expect((await run('list-topics')).Topics).not.toContainEqual({ TopicArn: arn });
});
