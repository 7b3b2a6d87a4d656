/** (pure) A message as receivers get it: SNS's JSON, without the signature by a certificate of AWS. */
import type { Subscription, TopicMessage } from './topic.ts';

export function notificationJson(message: TopicMessage, { arn }: Pick<Subscription, 'arn'>): string {
  return JSON.stringify({
    Type: 'Notification',
    MessageId: message.id,
    TopicArn: message.topicArn,
    ...(message.subject !== undefined && { Subject: message.subject }),
    Message: message.body,
    Timestamp: new Date(message.createdAtMs).toISOString(),
    SubscriptionArn: arn,
  });
}
