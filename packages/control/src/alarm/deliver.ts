/** Hands what alarms owe to topics, again and again until it is there, always under the id of the transition. */
import { isServiceError } from '@larder/contract/errors';
import type { Database } from '../database/connect.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { Publish } from '../topic/topics.ts';
import type { AlarmNotification, HistoryItem } from './alarm.ts';
import { changeNotification, readAlarm, readNotifications, recordHistory } from './store.ts';

export interface DeliverDeps {
  readonly database: Database;
  readonly publish: Publish;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

const atOnce = 50;
const firstRetryMs = 1_000;
const longestRetryMs = 300_000;
/** After it a topic that takes nothing is given up, and the history says so. */
const givenUpAfterMs = 24 * 3_600_000;

export async function deliverOwed(deps: DeliverDeps): Promise<void> {
  const { database, nowMs } = deps;
  const due = await readNotifications(database, { held: false, dueMs: nowMs(), limit: atOnce });
  for (const notification of due) await handOver(deps, notification);
}

async function handOver(deps: DeliverDeps, notification: AlarmNotification): Promise<void> {
  const { publish, logger, nowMs } = deps;
  const { id, alarm, subject, message, attempts } = notification;
  let left = notification.topics;
  let failed = false;
  for (const topic of notification.topics) {
    try {
      await publish(topic, { id, subject, message });
    } catch (error) {
      // No such topic, or nothing that it takes: another time would be no better.
      const isHopeless = isServiceError(error) && error.fault === 'Sender' && error.error !== 'Throttled';
      if (!isHopeless && nowMs() - notification.atMs < givenUpAfterMs) {
        failed = true;
        logger.warn({ alarm, topic, attempts, error }, `A notification of alarm ${alarm} waits.`);
        continue;
      }
      const why = error instanceof Error ? error.message : 'it did not answer';
      left = await settle(deps, notification, left, topic, why);
      continue;
    }
    left = await settle(deps, notification, left, topic);
  }
  if (!failed) return;
  const waitMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(attempts, 20));
  await deps.database
    .transaction()
    .execute((transaction) =>
      changeNotification(transaction, id, { attempts: attempts + 1, retryAtMs: nowMs() + waitMs }),
    );
}

/** Says in the history what became of it, and takes the topic off. @returns the topics that are left. */
async function settle(
  { database, nowMs }: DeliverDeps,
  { id, alarm, atMs }: AlarmNotification,
  topics: readonly string[],
  topic: string,
  failure?: string,
): Promise<readonly string[]> {
  const left = topics.filter((each) => each !== topic);
  await database.transaction().execute(async (transaction) => {
    const { kind } = (await readAlarm(transaction, alarm)) ?? { kind: 'metric' as const };
    const item: HistoryItem = {
      alarm,
      kind,
      atMs: nowMs(),
      type: 'Action',
      summary:
        failure === undefined
          ? `Successfully executed action ${topic}`
          : `Failed to execute action ${topic}: ${failure}`,
      data: JSON.stringify({
        version: '1.0',
        actionState: failure === undefined ? 'Succeeded' : 'Failed',
        notificationResource: topic,
        notificationId: id,
        publishedFor: new Date(atMs).toISOString(),
        ...(failure !== undefined && { error: failure }),
      }),
    };
    await recordHistory(transaction, item);
    await changeNotification(transaction, id, { topics: left });
  });
  return left;
}
