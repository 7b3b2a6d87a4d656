/** Topics as a whole: their operations, what others publish, what is delivered, and what operators are shown of it. */
import type { SnsHandlers } from '@larder/contract/sns/handlers';
import type { Database } from '../database/connect.ts';
import type { Logger } from '../reconciler/logger.ts';
import { commandSender } from './command.ts';
import { deliveries } from './deliveries.ts';
import { type MailOptions, mailSender } from './mail.ts';
import { publishIn } from './publish.ts';
import { topicHandlers } from './requests.ts';
import type { RetryPolicy } from './retry.ts';
import { raiseSecretGeneration, readDeliveries, reviveDead } from './store.ts';
import { limits, type Subscription } from './topic.ts';
import { webhookSender } from './webhook.ts';

/** What the operator allows. */
export interface NotificationSettings {
  /** Missing: e-mail is not set up. */
  readonly mail?: MailOptions | undefined;
  /** Absolute paths of programs that messages may be given to. */
  readonly commands: readonly string[];
  /** In which they find theirs. */
  readonly searchPath: string;
  readonly webhooksToLoopback: boolean;
}

export interface TopicsOptions {
  readonly settings: NotificationSettings;
  readonly database: Database;
  /** Of a webhook's subscription and generation, as Standard Webhooks writes it. */
  readonly webhookSecret: (subscriptionArn: string, generation: number) => string;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly policy?: RetryPolicy;
}

/** Published under an id: the same id on the same topic within a day is the same message. */
export interface Publication {
  readonly id: string;
  /** Cut to what a subject may be. */
  readonly subject: string | undefined;
  readonly message: string;
}

/** @throws ServiceError NotFound without the topic, InvalidParameter, Throttled when too many deliveries wait. */
export type Publish = (topicArn: string, publication: Publication) => Promise<void>;

export interface ShownDelivery {
  readonly messageId: string;
  readonly topicArn: string;
  readonly subscriptionArn: string;
  readonly protocol: string;
  readonly endpoint: string;
  readonly status: 'pending' | 'dead';
  readonly attempts: number;
  readonly publishedAt: string;
  /** Of a pending one the next attempt, of a dead one when it was given up. */
  readonly at: string;
  readonly failure?: string;
}

export interface Topics {
  readonly handlers: SnsHandlers;
  readonly publish: Publish;
  /** Waiting or given up, dead ones first; up to a thousand of each. */
  showDeliveries(): Promise<ShownDelivery[]>;
  /** Tries those that were given up again. @returns how many. */
  revive(): Promise<number>;
  /** Makes a new secret; the one before is not used from now on. Undefined when there is no such subscription. */
  newSecret(subscriptionArn: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

const shownAtOnce = 1_000;

export function startTopics(options: TopicsOptions): Topics {
  const { settings, database, webhookSecret, nowMs, logger, policy } = options;
  const secretOf = ({ arn, secretGeneration }: Subscription) => webhookSecret(arn, secretGeneration);
  const webhooks = webhookSender({ toOwnAddresses: settings.webhooksToLoopback, secretOf, nowMs });
  const mail = settings.mail && mailSender(settings.mail);
  const loop = deliveries({
    database,
    senders: {
      http: webhooks,
      https: webhooks,
      command: commandSender({ allowed: settings.commands, searchPath: settings.searchPath }),
      ...(mail !== undefined && { email: mail }),
    },
    nowMs,
    random: Math.random,
    logger,
    ...(policy !== undefined && { policy }),
  });
  return {
    handlers: topicHandlers({
      database,
      nowMs,
      wake: loop.wake,
      webhooksToLoopback: settings.webhooksToLoopback,
      commands: settings.commands,
    }),
    async publish(topicArn, { id, subject, message }) {
      const line = subject
        ?.replace(/\p{Cc}+/gu, ' ')
        .trim()
        .slice(0, limits.subjectLength);
      const published = { id, topicArn, subject: line || undefined, body: message, createdAtMs: nowMs() };
      await database.transaction().execute((transaction) => publishIn(transaction, published, 'refuse'));
      loop.wake();
    },
    async showDeliveries() {
      const dead = await readDeliveries(database, { status: 'dead', limit: shownAtOnce });
      const pending = await readDeliveries(database, { status: 'pending', limit: shownAtOnce });
      return [...dead, ...pending].map(({ message, subscription, status, attempts, atMs, failure }) => ({
        messageId: message.id,
        topicArn: message.topicArn,
        subscriptionArn: subscription.arn,
        protocol: subscription.protocol,
        endpoint: subscription.endpoint,
        status,
        attempts,
        publishedAt: new Date(message.createdAtMs).toISOString(),
        at: new Date(atMs).toISOString(),
        ...(failure !== undefined && { failure }),
      }));
    },
    async revive() {
      const revived = await reviveDead(database, nowMs());
      loop.wake();
      return revived;
    },
    async newSecret(subscriptionArn) {
      const generation = await raiseSecretGeneration(database, subscriptionArn);
      return generation === undefined ? undefined : webhookSecret(subscriptionArn, generation);
    },
    async stop() {
      await loop.stop();
      mail?.close();
    },
  };
}
