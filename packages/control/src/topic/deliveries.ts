/**
 * Delivers what was published: at least once, each subscription for itself. A delivery is written down before it is
 * begun and taken out after it succeeded, so one that was under way when the service was killed is made again, with the
 * same message id.
 */
import type { Database } from '../database/connect.ts';
import type { Logger } from '../reconciler/logger.ts';
import { nextAttemptMs, type RetryPolicy, retryPolicy } from './retry.ts';
import type { Sender } from './sender.ts';
import { type Delivery, deleteDelivery, forgetOld, readDeliveries, writeFailure } from './store.ts';
import type { TopicProtocol } from './topic.ts';

export interface DeliveriesOptions {
  readonly database: Database;
  /** A protocol without one can't be delivered to now: it is tried again like any that fails. */
  readonly senders: Readonly<Partial<Record<TopicProtocol, Sender>>>;
  readonly nowMs: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly policy?: RetryPolicy;
}

export interface Deliveries {
  /** Something was published: looks at once. */
  wake(): void;
  /** Ends what is under way; it is delivered again after the next start. */
  stop(): Promise<void>;
}

/** Messages of events are written in their transactions, of which nobody tells us. */
const periodMs = 1_000;
const forgetEveryMs = 600_000;
/** At a time, and at a time for one subscription: one that hangs must not keep others waiting. */
const mostUnderWay = 32;
const mostOfOne = 4;
const readAtOnce = 256;
const longestFailure = 300;

export function deliveries(options: DeliveriesOptions): Deliveries {
  const { database, senders, nowMs, random, logger, policy = retryPolicy } = options;
  const stopping = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  const bySubscription = new Map<string, number>();
  let looking: Promise<void> | undefined;
  let wanted = false;
  let timer: NodeJS.Timeout | undefined;
  let forgottenAtMs = 0;

  function wake(): void {
    if (stopping.signal.aborted) return;
    if (looking !== undefined) {
      wanted = true;
      return;
    }
    clearTimeout(timer);
    wanted = false;
    looking = look()
      .catch((error: Error) => logger.warn({ error }, 'Deliveries could not be looked at.'))
      .finally(() => {
        looking = undefined;
        if (stopping.signal.aborted) return;
        if (wanted) wake();
        else timer = setTimeout(wake, periodMs);
      });
  }

  async function look(): Promise<void> {
    const now = nowMs();
    if (now - forgottenAtMs >= forgetEveryMs) {
      await forgetOld(database, now);
      forgottenAtMs = now;
    }
    const due = await readDeliveries(database, { status: 'pending', dueMs: now, limit: readAtOnce });
    for (const delivery of due) {
      const key = `${delivery.message.id} ${delivery.subscription.arn}`;
      const ofOne = bySubscription.get(delivery.subscription.arn) ?? 0;
      if (underWay.size >= mostUnderWay) return;
      if (ofOne >= mostOfOne || underWay.has(key)) continue;
      bySubscription.set(delivery.subscription.arn, ofOne + 1);
      underWay.set(
        key,
        deliver(delivery)
          .catch((error: Error) => logger.warn({ error }, 'A delivery could not be written down.'))
          .finally(() => {
            underWay.delete(key);
            const left = bySubscription.get(delivery.subscription.arn)! - 1;
            if (left === 0) bySubscription.delete(delivery.subscription.arn);
            else bySubscription.set(delivery.subscription.arn, left);
            wake();
          }),
      );
    }
  }

  async function deliver(delivery: Delivery): Promise<void> {
    const { message, subscription } = delivery;
    const told = { messageId: message.id, subscription: subscription.arn };
    try {
      const sender = senders[subscription.protocol];
      if (sender === undefined) throw new Error(notSetUp(subscription.protocol));
      await sender.send(message, subscription, stopping.signal);
    } catch (error) {
      // It did not fail: we ended it.
      if (stopping.signal.aborted) return;
      return fail(delivery, (error as Error).message.slice(0, longestFailure));
    }
    await deleteDelivery(database, delivery);
    logger.debug(told, 'A message was delivered.');
  }

  async function fail(delivery: Delivery, failure: string): Promise<void> {
    const { message, subscription } = delivery;
    const attempts = delivery.attempts + 1;
    const failed = { attempts, sinceMs: message.createdAtMs, nowMs: nowMs(), random: random() };
    const nextMs = nextAttemptMs(policy, failed);
    const told = { messageId: message.id, subscription: subscription.arn, attempts, failure };
    if (nextMs === undefined) logger.error(told, 'A message was given up; see "larder topics deliveries".');
    else logger.warn(told, 'A message was not delivered; it is tried again.');
    await writeFailure(database, delivery, {
      status: nextMs === undefined ? 'dead' : 'pending',
      attempts,
      atMs: nextMs ?? nowMs(),
      failure,
    });
  }

  wake();
  return {
    wake,
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      await looking;
      await Promise.all(underWay.values());
    },
  };
}

function notSetUp(protocol: TopicProtocol): string {
  return protocol === 'email'
    ? 'E-mail is not set up; "larder server --smtp-url-file FILE --mail-from ADDRESS" does.'
    : `${protocol} is not set up.`;
}
