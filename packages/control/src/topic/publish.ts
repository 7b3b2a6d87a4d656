/** Publishing: the message and its deliveries in one transaction, so that what was published is delivered or told of. */
import { serviceError } from '@larder/contract/errors';
import type { DatabaseTransaction } from '../database/connect.ts';
import { countDeliveries, insertDeliveries, insertMessage, readSubscriptions, readTopic } from './store.ts';
import { checkedMessage, limits, type TopicMessage } from './topic.ts';

/**
 * A message that was published under its id before is not published again.
 *
 * @param whenFull `refuse`: throws. `dead-letter`: for a message that belongs to something that happened anyway; its
 *   deliveries are given up at once, which is shown.
 * @throws ServiceError NotFound without the topic, InvalidParameter, Throttled with `limits.pendingDeliveries` waiting.
 */
export async function publishIn(
  transaction: DatabaseTransaction,
  message: TopicMessage,
  whenFull: 'refuse' | 'dead-letter',
): Promise<void> {
  checkedMessage(message.subject, message.body);
  if ((await readTopic(transaction, message.topicArn)) === undefined) throw noTopic();
  const subscriptions = await readSubscriptions(transaction, { topicArn: message.topicArn });
  const waiting = await countDeliveries(transaction, 'pending');
  const full = waiting + subscriptions.length > limits.pendingDeliveries;
  if (full && whenFull === 'refuse') {
    throw serviceError('Throttled', `${waiting} deliveries wait already.`, {
      hint: 'See what they wait for with "larder topics deliveries".',
    });
  }
  if (!(await insertMessage(transaction, message))) return;
  await insertDeliveries(
    transaction,
    message,
    subscriptions,
    full
      ? { status: 'dead', failure: 'Too many deliveries waited when it was published.' }
      : { status: 'pending', failure: undefined },
  );
}

export function noTopic() {
  return serviceError('NotFound', 'Topic does not exist');
}
