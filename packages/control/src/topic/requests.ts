/** The operations of topics. As SNS's, but that a subscription needs no confirmation: whoever may make one is an operator. */
import { randomUUID } from 'node:crypto';
import { isAbsolute, normalize } from 'node:path';
import type { Caller } from '@larder/contract/elasticache/handlers';
import { serviceError } from '@larder/contract/errors';
import type { SnsHandlers } from '@larder/contract/sns/handlers';
import type { SnsInput, SnsOutput } from '@larder/contract/sns/model';
import type { Database } from '../database/connect.ts';
import { noTopic, publishIn } from './publish.ts';
import { refusalOfUrl } from './reachable-address.ts';
import {
  countDeliveries,
  countTopics,
  deleteSubscription,
  deleteTopic,
  insertSubscription,
  insertTopic,
  readSubscriptions,
  readTopic,
  readTopics,
} from './store.ts';
import {
  checkedTopicName,
  invalidParameter,
  limits,
  protocols,
  type Subscription,
  type TopicProtocol,
  topicArnOf,
} from './topic.ts';

export interface TopicRequestDeps {
  readonly database: Database;
  readonly nowMs: () => number;
  /** Called after a message was published. */
  readonly wake: () => void;
  readonly webhooksToLoopback: boolean;
  /** Absolute paths of programs that may be subscribed. */
  readonly commands: readonly string[];
}

const pageLength = 100;

export function topicHandlers(deps: TopicRequestDeps): SnsHandlers {
  const { database } = deps;
  return {
    CreateTopic: (input, caller) => createTopic(deps, input, caller),
    async DeleteTopic({ TopicArn: arn }) {
      await database.transaction().execute((transaction) => deleteTopic(transaction, arn));
      return {};
    },
    async ListTopics({ NextToken: after = '' }) {
      const { items, ...next } = cut(await readTopics(database, after, pageLength + 1));
      return { Topics: items.map(({ arn }) => ({ TopicArn: arn })), ...next };
    },
    GetTopicAttributes: (input, caller) => topicAttributes(deps, input, caller),
    Subscribe: (input) => subscribe(deps, input),
    async Unsubscribe({ SubscriptionArn: arn }) {
      await database.transaction().execute((transaction) => deleteSubscription(transaction, arn));
      return {};
    },
    ListSubscriptions: ({ NextToken: after = '' }, caller) => listSubscriptions(deps, { after }, caller),
    async ListSubscriptionsByTopic({ TopicArn: topicArn, NextToken: after = '' }, caller) {
      if ((await readTopic(database, topicArn)) === undefined) throw noTopic();
      return listSubscriptions(deps, { after, topicArn }, caller);
    },
    Publish: (input) => publish(deps, input),
  };
}

/** One that is there already is answered as if it were new. */
async function createTopic(
  { database, nowMs }: TopicRequestDeps,
  input: SnsInput<'CreateTopic'>,
  caller: Caller,
): Promise<SnsOutput<'CreateTopic'>> {
  const name = checkedTopicName(input.Name);
  const { DisplayName: displayName = '', ...others } = input.Attributes ?? {};
  refuseAttributes(others);
  if ((input.Tags ?? []).length > 0) throw invalidParameter('Tags', 'topics have none here');
  if (displayName.length > 100) throw invalidParameter('DisplayName', 'it has up to 100 characters');
  const arn = topicArnOf(name, caller);
  await database.transaction().execute(async (transaction) => {
    if ((await readTopic(transaction, arn)) !== undefined) return;
    if ((await countTopics(transaction)) >= limits.topics) {
      throw serviceError('TopicLimitExceeded', `There can be at most ${limits.topics} topics.`);
    }
    await insertTopic(transaction, { arn, name, displayName, createdAtMs: nowMs() });
  });
  return { TopicArn: arn };
}

async function topicAttributes(
  { database }: TopicRequestDeps,
  { TopicArn: arn }: SnsInput<'GetTopicAttributes'>,
  { accountId }: Caller,
): Promise<SnsOutput<'GetTopicAttributes'>> {
  const topic = await readTopic(database, arn);
  if (topic === undefined) throw noTopic();
  const subscriptions = await readSubscriptions(database, { topicArn: arn });
  return {
    Attributes: {
      TopicArn: arn,
      Owner: accountId,
      DisplayName: topic.displayName,
      SubscriptionsConfirmed: String(subscriptions.length),
      SubscriptionsPending: '0',
      SubscriptionsDeleted: '0',
      // Ours: SNS has metrics for it.
      DeliveriesPending: String(await countDeliveries(database, 'pending', arn)),
      DeliveriesDead: String(await countDeliveries(database, 'dead', arn)),
    },
  };
}

/** The same endpoint twice is one subscription, as SNS has it. */
async function subscribe(
  deps: TopicRequestDeps,
  input: SnsInput<'Subscribe'>,
): Promise<SnsOutput<'Subscribe'>> {
  const { TopicArn: topicArn } = input;
  const protocol = protocols.find((each) => each === input.Protocol);
  if (protocol === undefined) {
    throw invalidParameter('Protocol', `here there are ${protocols.join(', ')}`);
  }
  const endpoint = checkedEndpoint(deps, protocol, input.Endpoint ?? '');
  refuseAttributes(input.Attributes ?? {});
  return deps.database.transaction().execute(async (transaction) => {
    if ((await readTopic(transaction, topicArn)) === undefined) throw noTopic();
    const others = await readSubscriptions(transaction, { topicArn });
    const same = others.find((each) => each.protocol === protocol && each.endpoint === endpoint);
    if (same !== undefined) return { SubscriptionArn: same.arn };
    if (others.length >= limits.subscriptionsOfTopic) {
      throw serviceError(
        'SubscriptionLimitExceeded',
        `A topic can have at most ${limits.subscriptionsOfTopic} subscriptions.`,
      );
    }
    const arn = `${topicArn}:${randomUUID()}`;
    const createdAtMs = deps.nowMs();
    await insertSubscription(transaction, {
      arn,
      topicArn,
      protocol,
      endpoint,
      secretGeneration: 1,
      createdAtMs,
    });
    return { SubscriptionArn: arn };
  });
}

function checkedEndpoint(
  { webhooksToLoopback, commands }: TopicRequestDeps,
  protocol: TopicProtocol,
  endpoint: string,
): string {
  if (protocol === 'email') {
    // One address: what stands here becomes the header of an e-mail.
    if (/^[^\s@<>,;:"()\p{Cc}]{1,64}@[A-Za-z0-9.-]{1,255}$/u.test(endpoint)) return endpoint;
    throw invalidParameter('Endpoint', 'it is no address such as ops@example.com');
  }
  if (protocol === 'command') {
    if (isAbsolute(endpoint) && normalize(endpoint) === endpoint && commands.includes(endpoint))
      return endpoint;
    throw invalidParameter(
      'Endpoint',
      'a command is the absolute path of a program that "larder server --notify-command PATH" allows',
    );
  }
  const refusal = refusalOfUrl(endpoint, webhooksToLoopback);
  if (refusal !== undefined) throw invalidParameter('Endpoint', refusal);
  if (new URL(endpoint).protocol !== `${protocol}:`) {
    throw invalidParameter('Endpoint', `the protocol is ${protocol}, and the URL must begin with it`);
  }
  return endpoint;
}

async function listSubscriptions(
  { database }: TopicRequestDeps,
  of: { readonly after: string; readonly topicArn?: string },
  { accountId }: Caller,
) {
  const { items, ...next } = cut(await readSubscriptions(database, { ...of, limit: pageLength + 1 }));
  return { Subscriptions: items.map((each) => showSubscription(each, accountId)), ...next };
}

function showSubscription({ arn, topicArn, protocol, endpoint }: Subscription, accountId: string) {
  return {
    SubscriptionArn: arn,
    TopicArn: topicArn,
    Owner: accountId,
    Protocol: protocol,
    Endpoint: endpoint,
  };
}

async function publish(
  { database, nowMs, wake }: TopicRequestDeps,
  input: SnsInput<'Publish'>,
): Promise<SnsOutput<'Publish'>> {
  const topicArn = input.TopicArn ?? input.TargetArn;
  if (topicArn === undefined) throw invalidParameter('TopicArn', 'it is missing');
  for (const [name, given] of Object.entries({
    PhoneNumber: input.PhoneNumber,
    MessageStructure: input.MessageStructure,
    MessageAttributes: Object.keys(input.MessageAttributes ?? {})[0],
    MessageGroupId: input.MessageGroupId,
  })) {
    if (given !== undefined) throw invalidParameter(name, 'it has no effect here');
  }
  const id = randomUUID();
  await database
    .transaction()
    .execute((transaction) =>
      publishIn(
        transaction,
        { id, topicArn, subject: input.Subject, body: input.Message, createdAtMs: nowMs() },
        'refuse',
      ),
    );
  wake();
  return { MessageId: id };
}

function refuseAttributes(attributes: Readonly<Record<string, string | undefined>>): void {
  const [name] = Object.keys(attributes);
  if (name !== undefined) throw invalidParameter('Attributes', `${name.slice(0, 60)} has no effect here`);
}

function cut<Item extends { readonly arn: string }>(
  found: readonly Item[],
): { readonly items: readonly Item[]; readonly NextToken?: string } {
  const items = found.slice(0, pageLength);
  return found.length > pageLength ? { items, NextToken: items.at(-1)!.arn } : { items };
}
