/** The topics' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { limits, type Subscription, type Topic, type TopicMessage, type TopicProtocol } from './topic.ts';

type Reader = Database | DatabaseTransaction;

export async function readTopic(database: Reader, arn: string): Promise<Topic | undefined> {
  const row = await database.selectFrom('topic').selectAll().where('arn', '=', arn).executeTakeFirst();
  return row && toTopic(row);
}

/** In the order of their ARNs, from behind `after` on. */
export async function readTopics(database: Reader, after: string, limit: number): Promise<Topic[]> {
  const rows = await database
    .selectFrom('topic')
    .selectAll()
    .where('arn', '>', after)
    .orderBy('arn')
    .limit(limit)
    .execute();
  return rows.map(toTopic);
}

function toTopic(row: { arn: string; name: string; display_name: string; created_at: number }): Topic {
  return { arn: row.arn, name: row.name, displayName: row.display_name, createdAtMs: row.created_at };
}

export async function countTopics(database: Reader): Promise<number> {
  const row = await database
    .selectFrom('topic')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export async function insertTopic(transaction: DatabaseTransaction, topic: Topic): Promise<void> {
  await transaction
    .insertInto('topic')
    .values({
      arn: topic.arn,
      name: topic.name,
      display_name: topic.displayName,
      created_at: topic.createdAtMs,
    })
    .execute();
}

/** With its subscriptions, and what was to be delivered to them. */
export async function deleteTopic(transaction: DatabaseTransaction, arn: string): Promise<void> {
  await transaction.deleteFrom('topic').where('arn', '=', arn).execute();
}

/** In the order of their ARNs, from behind `after` on; of one topic, or of all. */
export async function readSubscriptions(
  database: Reader,
  of: { readonly topicArn?: string | undefined; readonly after?: string; readonly limit?: number },
): Promise<Subscription[]> {
  let query = database
    .selectFrom('topic_subscription')
    .selectAll()
    .where('arn', '>', of.after ?? '')
    .orderBy('arn');
  if (of.topicArn !== undefined) query = query.where('topic_arn', '=', of.topicArn);
  if (of.limit !== undefined) query = query.limit(of.limit);
  return (await query.execute()).map((row) => ({
    arn: row.arn,
    topicArn: row.topic_arn,
    protocol: row.protocol as TopicProtocol,
    endpoint: row.endpoint,
    secretGeneration: row.secret_generation,
    createdAtMs: row.created_at,
  }));
}

export async function insertSubscription(
  transaction: DatabaseTransaction,
  subscription: Subscription,
): Promise<void> {
  await transaction
    .insertInto('topic_subscription')
    .values({
      arn: subscription.arn,
      topic_arn: subscription.topicArn,
      protocol: subscription.protocol,
      endpoint: subscription.endpoint,
      secret_generation: subscription.secretGeneration,
      created_at: subscription.createdAtMs,
    })
    .execute();
}

/** With what was to be delivered to it. */
export async function deleteSubscription(transaction: DatabaseTransaction, arn: string): Promise<void> {
  await transaction.deleteFrom('topic_subscription').where('arn', '=', arn).execute();
}

/** @returns the new generation, undefined when there is no such subscription. */
export async function raiseSecretGeneration(database: Database, arn: string): Promise<number | undefined> {
  const row = await database
    .updateTable('topic_subscription')
    .set((each) => ({ secret_generation: each('secret_generation', '+', 1) }))
    .where('arn', '=', arn)
    .returning('secret_generation')
    .executeTakeFirst();
  return row?.secret_generation;
}

/** @returns whether it is new: a message whose id is known was published before. */
export async function insertMessage(
  transaction: DatabaseTransaction,
  message: TopicMessage,
): Promise<boolean> {
  const rows = await transaction
    .insertInto('topic_message')
    .values({
      id: message.id,
      topic_arn: message.topicArn,
      subject: message.subject ?? null,
      body: message.body,
      created_at: message.createdAtMs,
    })
    .onConflict((conflict) => conflict.columns(['topic_arn', 'id']).doNothing())
    .returning('id')
    .execute();
  return rows.length > 0;
}

export interface Delivery {
  readonly message: TopicMessage;
  readonly subscription: Subscription;
  readonly status: 'pending' | 'dead';
  /** That failed. */
  readonly attempts: number;
  /** When the next attempt is due; of a dead one when it was given up. */
  readonly atMs: number;
  readonly failure: string | undefined;
}

export async function insertDeliveries(
  transaction: DatabaseTransaction,
  message: TopicMessage,
  subscriptions: readonly Subscription[],
  standing: Pick<Delivery, 'status' | 'failure'>,
): Promise<void> {
  if (subscriptions.length === 0) return;
  await transaction
    .insertInto('topic_delivery')
    .values(
      subscriptions.map(({ arn }) => ({
        topic_arn: message.topicArn,
        message_id: message.id,
        subscription_arn: arn,
        status: standing.status,
        attempts: 0,
        at: message.createdAtMs,
        failure: standing.failure ?? null,
      })),
    )
    .execute();
}

export async function countDeliveries(
  database: Reader,
  status: Delivery['status'],
  topicArn?: string,
): Promise<number> {
  let query = database
    .selectFrom('topic_delivery')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('status', '=', status);
  if (topicArn !== undefined) query = query.where('topic_arn', '=', topicArn);
  return Number((await query.executeTakeFirstOrThrow()).count);
}

/** The earliest first. @param dueMs only those whose time has come by then. */
export async function readDeliveries(
  database: Reader,
  of: { readonly status: Delivery['status']; readonly dueMs?: number; readonly limit: number },
): Promise<Delivery[]> {
  let query = database
    .selectFrom('topic_delivery as delivery')
    .innerJoin('topic_message as message', (join) =>
      join
        .onRef('message.id', '=', 'delivery.message_id')
        .onRef('message.topic_arn', '=', 'delivery.topic_arn'),
    )
    .innerJoin('topic_subscription as subscription', 'subscription.arn', 'delivery.subscription_arn')
    .select([
      'delivery.message_id as message_id',
      'delivery.topic_arn as topic_arn',
      'delivery.status as status',
      'delivery.attempts as attempts',
      'delivery.at as at',
      'delivery.failure as failure',
      'message.subject as subject',
      'message.body as body',
      'message.created_at as published_at',
      'subscription.arn as subscription_arn',
      'subscription.protocol as protocol',
      'subscription.endpoint as endpoint',
      'subscription.secret_generation as secret_generation',
      'subscription.created_at as subscribed_at',
    ])
    .where('delivery.status', '=', of.status)
    .orderBy('delivery.at')
    .limit(of.limit);
  if (of.dueMs !== undefined) query = query.where('delivery.at', '<=', of.dueMs);
  return (await query.execute()).map((row) => ({
    message: {
      id: row.message_id,
      topicArn: row.topic_arn,
      subject: row.subject ?? undefined,
      body: row.body,
      createdAtMs: row.published_at,
    },
    subscription: {
      arn: row.subscription_arn,
      topicArn: row.topic_arn,
      protocol: row.protocol as TopicProtocol,
      endpoint: row.endpoint,
      secretGeneration: row.secret_generation,
      createdAtMs: row.subscribed_at,
    },
    status: row.status as Delivery['status'],
    attempts: row.attempts,
    atMs: row.at,
    failure: row.failure ?? undefined,
  }));
}

export type DeliveryKey = Pick<Delivery, 'message' | 'subscription'>;

export async function deleteDelivery(
  database: Reader,
  { message, subscription }: DeliveryKey,
): Promise<void> {
  await database
    .deleteFrom('topic_delivery')
    .where('message_id', '=', message.id)
    .where('subscription_arn', '=', subscription.arn)
    .execute();
}

export async function writeFailure(
  database: Reader,
  { message, subscription }: DeliveryKey,
  failed: Pick<Delivery, 'status' | 'attempts' | 'atMs' | 'failure'>,
): Promise<void> {
  await database
    .updateTable('topic_delivery')
    .set({
      status: failed.status,
      attempts: failed.attempts,
      at: failed.atMs,
      failure: failed.failure ?? null,
    })
    .where('message_id', '=', message.id)
    .where('subscription_arn', '=', subscription.arn)
    .execute();
}

/** Those given up are tried again, as if they had never been. @returns how many. */
export async function reviveDead(database: Database, nowMs: number): Promise<number> {
  const found = await database
    .updateTable('topic_delivery')
    .set({ status: 'pending', attempts: 0, at: nowMs })
    .where('status', '=', 'dead')
    .executeTakeFirst();
  return Number(found.numUpdatedRows);
}

/** What is over and old goes: dead deliveries beyond the bound, and messages that nobody waits for any more. */
export async function forgetOld(database: Database, nowMs: number): Promise<void> {
  const oldestKept = await database
    .selectFrom('topic_delivery')
    .select('at')
    .where('status', '=', 'dead')
    .orderBy('at', 'desc')
    .offset(limits.deadDeliveries)
    .limit(1)
    .executeTakeFirst();
  if (oldestKept !== undefined) {
    await database
      .deleteFrom('topic_delivery')
      .where('status', '=', 'dead')
      .where('at', '<=', oldestKept.at)
      .execute();
  }
  await database
    .deleteFrom('topic_message')
    .where('created_at', '<', nowMs - limits.rememberedMs)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('topic_delivery')
            .select('topic_delivery.message_id')
            .whereRef('topic_delivery.message_id', '=', 'topic_message.id')
            .whereRef('topic_delivery.topic_arn', '=', 'topic_message.topic_arn'),
        ),
      ),
    )
    .execute();
}
