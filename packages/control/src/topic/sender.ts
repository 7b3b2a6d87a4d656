/** What carries a message to a subscription, whatever its kind. */
import type { Subscription, TopicMessage } from './topic.ts';

export interface Sender {
  /** Resolves when the receiver has it. @throws Error with a sentence for people otherwise; takes bounded time. */
  send(message: TopicMessage, subscription: Subscription, stopping: AbortSignal): Promise<void>;
}
