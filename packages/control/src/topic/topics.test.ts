/** Topics over a state of their own, delivering to real receivers: HTTP and SMTP servers, programs. */
import { createHmac } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SnsInput, SnsOperationName, SnsOutput } from '@larder/contract/sns/model';
import { SMTPServer } from 'smtp-server';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../../../../testing/wait-for.ts';
import { connectDatabase, type Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { replicatedGroup } from '../replication-group/group.test-support.ts';
import { deleteReplicationGroup, insertReplicationGroup } from '../replication-group/store.ts';
import { type NotificationSettings, startTopics, type Topics } from './topics.ts';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const caller = { requestId: 'r', accessKeyId: undefined, accountId: '000000000000', region: 'us-east-1' };
const quick = { firstDelayMs: 2, longestDelayMs: 4, mostAttempts: 3, oldestMs: 60_000 };
const secretOf = (arn: string, generation: number) =>
  `whsec_${Buffer.from(`${arn}/${generation}`).toString('base64')}`;
const noMail: NotificationSettings = { commands: [], searchPath: '/usr/bin:/bin', webhooksToLoopback: true };

let folder: string;
let database: Database;
let topics: Topics;
let received: Received[];
let answer: (index: number) => { status: number; headers?: Record<string, string>; body?: string };
let receiver: Server;
let url: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'larder-topics-'));
  database = connectDatabase(join(folder, 'state.db'));
  received = [];
  answer = () => ({ status: 200 });
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      const { status, headers = {}, body = '' } = answer(received.length);
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  topics = start();
});

afterEach(async () => {
  await topics.stop();
  receiver.closeAllConnections();
  receiver.close();
  await database.destroy();
  rmSync(folder, { recursive: true });
});

function start(settings: Partial<NotificationSettings> = {}): Topics {
  return startTopics({
    settings: { ...noMail, ...settings },
    database,
    webhookSecret: secretOf,
    nowMs: Date.now,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    policy: quick,
  });
}

async function restart(settings: Partial<NotificationSettings> = {}): Promise<void> {
  await topics.stop();
  topics = start(settings);
}

const call = <Op extends SnsOperationName>(operation: Op, input: SnsInput<Op>): Promise<SnsOutput<Op>> =>
  topics.handlers[operation]!(input, caller);

function refusal<Op extends SnsOperationName>(operation: Op, input: SnsInput<Op>): Promise<string> {
  return call(operation, input).then(
    () => 'taken',
    (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
  );
}

async function topic(Name = 'alarms'): Promise<string> {
  return (await call('CreateTopic', { Name })).TopicArn!;
}

async function webhook(topicArn: string, endpoint = url): Promise<string> {
  const made = await call('Subscribe', { TopicArn: topicArn, Protocol: 'http', Endpoint: endpoint });
  return made.SubscriptionArn!;
}

const count = (wanted: number) =>
  waitFor(
    () => received.length,
    (length) => length >= wanted,
    { what: `${wanted} requests` },
  );
const everythingOver = (status?: string) =>
  waitFor(
    () => topics.showDeliveries(),
    (left) => left.every((each) => each.status === status),
    { what: `deliveries to be ${status ?? 'over'}` },
  );

describe('a webhook', () => {
  test('gets the message, signed so that it can check who sent it', async () => {
    const arn = await topic();
    const subscription = await webhook(arn);
    const { MessageId: id } = await call('Publish', { TopicArn: arn, Subject: 'Look', Message: 'ü {"a":1}' });
    await count(1);
    await everythingOver();
    const { headers, body } = received[0]!;
    expect(JSON.parse(body)).toMatchObject({
      Type: 'Notification',
      MessageId: id,
      TopicArn: arn,
      Subject: 'Look',
      Message: 'ü {"a":1}',
      SubscriptionArn: subscription,
    });
    const key = Buffer.from(secretOf(subscription, 1).slice(6), 'base64');
    const signed = `${id}.${headers['webhook-timestamp']}.${body}`;
    const expected = createHmac('sha256', key).update(signed).digest('base64');
    expect(headers).toMatchObject({
      'webhook-id': id,
      'webhook-signature': `v1,${expected}`,
      'x-amz-sns-message-type': 'Notification',
    });
    expect(Math.abs(Number(headers['webhook-timestamp']) * 1_000 - Date.now())).toBeLessThan(60_000);
  });

  test('has a new secret when one is asked for', async () => {
    const arn = await topic();
    const subscription = await webhook(arn);
    const secret = await topics.newSecret(subscription);
    expect(secret).toBe(secretOf(subscription, 2));
    expect(await topics.newSecret('arn:none')).toBeUndefined();
    const { MessageId: id } = await call('Publish', { TopicArn: arn, Message: 'x' });
    await count(1);
    const { headers, body } = received[0]!;
    const key = Buffer.from(secret!.slice(6), 'base64');
    const expected = createHmac('sha256', key).update(`${id}.${headers['webhook-timestamp']}.${body}`);
    expect(headers['webhook-signature']).toBe(`v1,${expected.digest('base64')}`);
  });

  test('that fails is tried again with the same id, and no more once it succeeded', async () => {
    answer = (index) => ({ status: index < 3 ? 503 : 204 });
    const arn = await topic();
    await webhook(arn);
    const { MessageId: id } = await call('Publish', { TopicArn: arn, Message: 'x' });
    await count(3);
    await everythingOver();
    expect(received.map(({ headers }) => headers['webhook-id'])).toEqual([id, id, id]);
  });

  test.each([
    ['answers an error', { status: 500 }, 'The webhook answered 500.'],
    ['redirects', { status: 302, headers: { location: '/elsewhere' } }, 'The webhook answered 302.'],
    ['answers too much', { status: 200, body: 'x'.repeat(70_000) }, 'The webhook answers without end.'],
  ])('that %s is given up in the end, which is shown, and tried again when asked', async (_, wrong, failure) => {
    answer = () => wrong;
    const arn = await topic();
    const subscriptionArn = await webhook(arn);
    const { MessageId: messageId } = await call('Publish', { TopicArn: arn, Message: 'x' });
    await count(3);
    const dead = await everythingOver('dead');
    expect(dead).toMatchObject([
      { messageId, subscriptionArn, status: 'dead', attempts: 3, failure, endpoint: url },
    ]);
    const { Attributes: attributes } = await call('GetTopicAttributes', { TopicArn: arn });
    expect(attributes).toMatchObject({ DeliveriesDead: '1', DeliveriesPending: '0' });

    answer = () => ({ status: 200 });
    expect(await topics.revive()).toBe(1);
    await everythingOver();
    expect(received).toHaveLength(4);
    expect(await topics.showDeliveries()).toEqual([]);
  });

  test('may not lead to this machine unless that is allowed, also when it once was', async () => {
    const arn = await topic();
    await webhook(arn);
    await restart({ webhooksToLoopback: false });
    expect(
      await refusal('Subscribe', { TopicArn: arn, Protocol: 'http', Endpoint: 'http://127.0.0.1/x' }),
    ).toContain('InvalidParameter: Invalid parameter: Endpoint: it leads to this machine');
    await call('Publish', { TopicArn: arn, Message: 'x' });
    expect(await everythingOver('dead')).toMatchObject([
      { failure: expect.stringContaining('it leads to this machine') },
    ]);
    expect(received).toEqual([]);
  });

  test('may not lead to this machine by a name either', async () => {
    await topics.stop();
    // Looked up when it is sent: a name in /etc/hosts that is not "localhost".
    const name = readFileSync('/etc/hosts', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([address = '']) => /^(127\.|::1$)/.test(address))
      .flatMap(([, ...names]) => names)
      .find((each) => !/(^|\.)localhost$/.test(each));
    topics = start({ webhooksToLoopback: false });
    const arn = await topic();
    await webhook(arn, url.replace('127.0.0.1', name ?? 'no-such-host.invalid'));
    await call('Publish', { TopicArn: arn, Message: 'x' });
    const [dead] = await everythingOver('dead');
    expect(dead!.failure).toMatch(name === undefined ? /ENOTFOUND|EAI_AGAIN/ : /leads to this machine/);
    expect(received).toEqual([]);
  });
});

test('one receiver that hangs keeps no other waiting, and ending the service gives nothing up', async () => {
  const hanging = createServer(() => undefined);
  await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve));
  try {
    const arn = await topic();
    await webhook(arn, `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/`);
    await webhook(arn);
    for (let index = 0; index < 12; index += 1) await call('Publish', { TopicArn: arn, Message: `${index}` });
    await count(12);
    await waitFor(
      () => topics.showDeliveries(),
      (left) => left.length === 12,
      { what: 'those of the other to be over' },
    );
    await topics.stop();
    expect((await topics.showDeliveries()).map(({ attempts }) => attempts)).toEqual(Array(12).fill(0));
  } finally {
    hanging.closeAllConnections();
    hanging.close();
  }
});

test('a message is published once under its id, and delivered anew after a kill in the middle', async () => {
  const arn = await topic();
  await webhook(arn);
  // As when the service was killed: the delivery is written down and its outcome is not.
  await topics.stop();
  await topics.publish(arn, { id: 'alarm-7', subject: 'ALARM:\n"x"', message: 'm' });
  await topics.publish(arn, { id: 'alarm-7', subject: 'ALARM', message: 'm' });
  expect(await topics.showDeliveries()).toMatchObject([{ messageId: 'alarm-7', status: 'pending' }]);
  topics = start();
  await count(1);
  await everythingOver();
  await topics.publish(arn, { id: 'alarm-7', subject: 'ALARM', message: 'm' });
  expect(await topics.showDeliveries()).toEqual([]);
  expect(received.map(({ body }) => JSON.parse(body))).toMatchObject([
    { MessageId: 'alarm-7', Subject: 'ALARM: "x"' },
  ]);
});

describe('e-mail', () => {
  test('is sent by the mail server that was named', async () => {
    const mails: string[] = [];
    const server = new SMTPServer({
      authOptional: false,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
      onAuth: ({ username, password }, _, done) =>
        username === 'larder' && password === 'word' ? done(null, { user: 'larder' }) : done(new Error('no')),
      onData(stream, session, done) {
        let text = `${JSON.stringify(session.envelope.rcptTo.map(({ address }) => address))}\n`;
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        stream.on('end', () => {
          mails.push(text);
          done();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = server.server.address() as AddressInfo;
    try {
      const smtpUrl = `smtp://larder:word@127.0.0.1:${port}`;
      await restart({ mail: { smtpUrl, from: 'larder@example.com' } });
      const arn = await topic();
      await call('Subscribe', { TopicArn: arn, Protocol: 'email', Endpoint: 'ops@example.com' });
      const { MessageId: id } = await call('Publish', { TopicArn: arn, Subject: 'Memory', Message: '97 %' });
      await waitFor(
        () => mails.length,
        (length) => length === 1,
        { what: 'an e-mail' },
      );
      await everythingOver();
      expect(mails[0]).toContain('["ops@example.com"]');
      expect(mails[0]).toContain('From: larder@example.com');
      expect(mails[0]).toContain('Subject: Memory');
      expect(mails[0]).toContain(`X-Larder-Message-ID: ${id}`);
      expect(mails[0]).toMatch(/97 (%|=25)/);
    } finally {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  test('is given up with a reason that holds no password, when the server is gone', async () => {
    await restart({ mail: { smtpUrl: 'smtp://larder:hidden-word@127.0.0.1:1', from: 'a@example.com' } });
    const arn = await topic();
    await call('Subscribe', { TopicArn: arn, Protocol: 'email', Endpoint: 'ops@example.com' });
    await call('Publish', { TopicArn: arn, Message: 'x' });
    const [dead] = await everythingOver('dead');
    expect(dead!.failure).toContain('ECONNREFUSED');
    expect(dead!.failure).not.toContain('hidden-word');
  });
});

describe('a command', () => {
  function program(name: string, script: string): string {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o700);
    return path;
  }

  test('gets the message on its standard input, in an environment of its own', async () => {
    const path = program(
      'notify',
      `cat > ${folder}/message; env > ${folder}/environment; echo "$#" > ${folder}/count`,
    );
    await restart({ commands: [path] });
    const arn = await topic();
    await call('Subscribe', { TopicArn: arn, Protocol: 'command', Endpoint: path });
    const { MessageId: id } = await call('Publish', { TopicArn: arn, Message: '$(touch /tmp/x) `y`' });
    await everythingOver();
    expect(JSON.parse(readFileSync(join(folder, 'message'), 'utf8'))).toMatchObject({
      MessageId: id,
      Message: '$(touch /tmp/x) `y`',
    });
    const names = readFileSync(join(folder, 'environment'), 'utf8').match(/^[A-Z_]+(?==)/gm);
    expect(names!.filter((each) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(each))).toEqual(['PATH']);
    expect(readFileSync(join(folder, 'count'), 'utf8').trim()).toBe('0');
  });

  test.each([
    ['ends with an error', 'echo "no such pager" >&2; exit 3', 'The program ended with 3: no such pager'],
    ['prints without end', 'yes', 'It printed more than 65536 bytes.'],
  ])('that %s is given up', async (_, script, failure) => {
    const path = program('notify', script);
    await restart({ commands: [path] });
    const arn = await topic();
    await call('Subscribe', { TopicArn: arn, Protocol: 'command', Endpoint: path });
    await call('Publish', { TopicArn: arn, Message: 'x' });
    expect(await everythingOver('dead')).toMatchObject([{ failure }]);
  });

  test('that is not allowed is not taken, and not run when it was allowed once', async () => {
    const path = program('notify', `touch ${folder}/ran`);
    await restart({ commands: [path] });
    const arn = await topic();
    await call('Subscribe', { TopicArn: arn, Protocol: 'command', Endpoint: path });
    for (const Endpoint of ['/bin/true', 'notify', `${folder}/../${path}`, '']) {
      expect(await refusal('Subscribe', { TopicArn: arn, Protocol: 'command', Endpoint })).toContain(
        'InvalidParameter',
      );
    }
    await restart();
    await call('Publish', { TopicArn: arn, Message: 'x' });
    expect(await everythingOver('dead')).toMatchObject([
      { failure: expect.stringContaining('The program is not allowed') },
    ]);
    expect(() => readFileSync(join(folder, 'ran'))).toThrow('ENOENT');
  });
});

describe('requests', () => {
  test('make, list and remove topics and subscriptions', async () => {
    const arn = await topic('a');
    expect(arn).toBe('arn:aws:sns:us-east-1:000000000000:a');
    expect(await topic('a')).toBe(arn);
    const other = await topic('b');
    expect(await call('ListTopics', {})).toEqual({ Topics: [{ TopicArn: arn }, { TopicArn: other }] });
    const subscription = await webhook(arn);
    expect(await webhook(arn)).toBe(subscription);
    await webhook(other);
    const shown = {
      SubscriptionArn: subscription,
      TopicArn: arn,
      Owner: '000000000000',
      Protocol: 'http',
      Endpoint: url,
    };
    expect(await call('ListSubscriptionsByTopic', { TopicArn: arn })).toEqual({ Subscriptions: [shown] });
    expect((await call('ListSubscriptions', {})).Subscriptions).toHaveLength(2);
    await call('Unsubscribe', { SubscriptionArn: subscription });
    expect((await call('ListSubscriptionsByTopic', { TopicArn: arn })).Subscriptions).toEqual([]);
    await call('DeleteTopic', { TopicArn: other });
    await call('DeleteTopic', { TopicArn: other });
    expect((await call('ListSubscriptions', {})).Subscriptions).toEqual([]);
    expect(await refusal('GetTopicAttributes', { TopicArn: other })).toBe('NotFound: Topic does not exist');
  });

  test('come in pages', async () => {
    for (let index = 0; index < 101; index += 1) await topic(`topic-${index}`);
    const first = await call('ListTopics', {});
    expect(first.Topics).toHaveLength(100);
    const second = await call('ListTopics', { NextToken: first.NextToken });
    expect(second).toEqual({ Topics: [{ TopicArn: expect.stringContaining(':topic-99') }] });
  });

  const arn = 'arn:aws:sns:us-east-1:000000000000:alarms';
  test.each<[string, () => Promise<string>]>([
    ['NotFound', () => refusal('Publish', { TopicArn: `${arn}2`, Message: 'x' })],
    ['NotFound', () => refusal('Subscribe', { TopicArn: `${arn}2`, Protocol: 'http', Endpoint: url })],
    ['Topic Name', () => refusal('CreateTopic', { Name: 'a b' })],
    ['Tags', () => refusal('CreateTopic', { Name: 'a', Tags: [{ Key: 'k', Value: 'v' }] })],
    [
      'FifoTopic has no effect',
      () => refusal('CreateTopic', { Name: 'a', Attributes: { FifoTopic: 'true' } }),
    ],
    ['Protocol', () => refusal('Subscribe', { TopicArn: arn, Protocol: 'sms', Endpoint: '+1' })],
    ['Endpoint', () => refusal('Subscribe', { TopicArn: arn, Protocol: 'https', Endpoint: url })],
    ['Endpoint', () => refusal('Subscribe', { TopicArn: arn, Protocol: 'email', Endpoint: 'a@b\nBcc: c@d' })],
    ['Endpoint', () => refusal('Subscribe', { TopicArn: arn, Protocol: 'email' })],
    ['Message', () => refusal('Publish', { TopicArn: arn, Message: '' })],
    ['262144', () => refusal('Publish', { TopicArn: arn, Message: 'x'.repeat(262_145) })],
    ['Subject', () => refusal('Publish', { TopicArn: arn, Message: 'x', Subject: 'a\r\nBcc: c@d' })],
    ['Subject', () => refusal('Publish', { TopicArn: arn, Message: 'x', Subject: 'a'.repeat(101) })],
    ['PhoneNumber', () => refusal('Publish', { TopicArn: arn, PhoneNumber: '+1', Message: 'x' })],
    ['TopicArn', () => refusal('Publish', { Message: 'x' })],
  ])('are refused where they ask for what is not there: %s', async (because, ask) => {
    await topic();
    const found = await ask();
    expect(found).toMatch(/^(NotFound|InvalidParameter): /);
    expect(found).toContain(because);
  });

  test('are throttled when too much waits', async () => {
    await topics.stop();
    await topic();
    await webhook(arn);
    await database
      .insertInto('topic_message')
      .values({ id: 'first', topic_arn: arn, subject: null, body: 'x', created_at: 1 })
      .execute();
    const subscribed = Array.from({ length: 10_000 }, (_, index) => `${arn}:${index}`);
    for (let from = 0; from < subscribed.length; from += 1_000) {
      const some = subscribed.slice(from, from + 1_000);
      await database
        .insertInto('topic_subscription')
        .values(
          some.map((each) => ({
            arn: each,
            topic_arn: arn,
            protocol: 'http',
            endpoint: each,
            secret_generation: 1,
            created_at: 1,
          })),
        )
        .execute();
      await database
        .insertInto('topic_delivery')
        .values(
          some.map((each) => ({
            topic_arn: arn,
            message_id: 'first',
            subscription_arn: each,
            status: 'pending',
            attempts: 0,
            at: 1,
            failure: null,
          })),
        )
        .execute();
    }
    expect(await refusal('Publish', { TopicArn: arn, Message: 'x' })).toContain('Throttled: 10000');
  });
});

describe("a cache's events", () => {
  const group = replicatedGroup(2);

  async function withTopic(change: object = {}): Promise<string> {
    const arn = await topic('caches');
    await webhook(arn);
    const intent = { ...group.intent, notification: { topicArn: arn, active: true, ...change } };
    await database
      .transaction()
      .execute((transaction) => insertReplicationGroup(transaction, { ...group, intent }));
    return arn;
  }

  const record = (sourceType: 'replication-group' | 'cache-cluster', sourceId: string, named = true) =>
    database
      .transaction()
      .execute((transaction) =>
        recordEvent(
          transaction,
          { atMs: Date.now(), sourceType, sourceId, message: 'm' },
          named ? 'FailoverComplete' : undefined,
        ),
      );

  test('are told on its topic, each once, those that ElastiCache has a name for', async () => {
    const arn = await withTopic();
    await record('cache-cluster', 'shop-002');
    await record('replication-group', 'shop');
    await record('replication-group', 'shop', false);
    await count(2);
    await everythingOver();
    const bodies = received.map(({ body }) => JSON.parse(body) as { Message: string; TopicArn: string });
    expect(bodies.map(({ Message }) => Message).sort()).toEqual([
      '{"ElastiCache:FailoverComplete":"shop"}',
      '{"ElastiCache:FailoverComplete":"shop-002"}',
    ]);
    expect(bodies[0]!.TopicArn).toBe(arn);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
    expect(received[0]!.headers['webhook-id']).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
  });

  test('are not told by a topic that is inactive, and keep nothing from happening when the topic is gone', async () => {
    await withTopic({ active: false });
    await record('replication-group', 'shop');
    await database.transaction().execute((transaction) => deleteReplicationGroup(transaction, group));
    await call('DeleteTopic', { TopicArn: 'arn:aws:sns:us-east-1:000000000000:caches' });
    const intent = {
      ...group.intent,
      notification: { topicArn: 'arn:aws:sns:us-east-1:000000000000:caches', active: true },
    };
    await database
      .transaction()
      .execute((transaction) => insertReplicationGroup(transaction, { ...group, intent }));
    await record('replication-group', 'shop');
    const messages = await database.selectFrom('topic_message').selectAll().execute();
    expect(messages).toEqual([]);
    const events = await database.selectFrom('event').select('message').execute();
    expect(events).toHaveLength(2);
  });
});
