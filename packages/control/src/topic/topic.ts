/** (pure) The nouns of notifications: SNS's words. */
import { serviceError } from '@larder/contract/errors';

export interface Topic {
  readonly arn: string;
  readonly name: string;
  /** What e-mails begin their subject with; may be empty. */
  readonly displayName: string;
  readonly createdAtMs: number;
}

/** `command` is ours: a program of the operator's. */
export const protocols = ['http', 'https', 'email', 'command'] as const;
export type TopicProtocol = (typeof protocols)[number];

export interface Subscription {
  readonly arn: string;
  readonly topicArn: string;
  readonly protocol: TopicProtocol;
  /** A URL, an address of e-mail, or the absolute path of a program. */
  readonly endpoint: string;
  /** Rises when a new secret is asked for; secrets are derived from it. */
  readonly secretGeneration: number;
  readonly createdAtMs: number;
}

export interface TopicMessage {
  /** The same in every attempt and for every subscription: receivers know a repetition by it. */
  readonly id: string;
  readonly topicArn: string;
  readonly subject: string | undefined;
  readonly body: string;
  readonly createdAtMs: number;
}

/** SNS's own where it has one. */
export const limits = {
  topics: 1_000,
  subscriptionsOfTopic: 100,
  messageBytes: 256 * 1024,
  subjectLength: 100,
  /** Waiting for their first success, of all topics. */
  pendingDeliveries: 10_000,
  /** Given up; the oldest go first. */
  deadDeliveries: 1_000,
  /** How long a message's id is remembered: published again within it, it is the same message. */
  rememberedMs: 24 * 3_600_000,
} as const;

export function topicArnOf(
  name: string,
  { region, accountId }: { region: string; accountId: string },
): string {
  return `arn:aws:sns:${region}:${accountId}:${name}`;
}

/** @throws ServiceError InvalidParameter */
export function checkedTopicName(name: string): string {
  if (/^[A-Za-z0-9_-]{1,256}$/.test(name)) return name;
  throw invalidParameter('Topic Name', 'it has 1 to 256 letters, digits, hyphens and underscores');
}

/** @throws ServiceError InvalidParameter */
export function checkedMessage(subject: string | undefined, message: string): void {
  const sizeBytes = Buffer.byteLength(message);
  if (sizeBytes === 0) throw invalidParameter('Message', 'it is empty');
  if (sizeBytes > limits.messageBytes) {
    throw invalidParameter('Message', `it has ${sizeBytes} bytes; ${limits.messageBytes} are allowed`);
  }
  // One line of text, as SNS has it: it becomes the header of an e-mail.
  if (subject !== undefined && !/^[^\p{Cc}\s][^\p{Cc}]{0,99}$/u.test(subject)) {
    throw invalidParameter('Subject', `it is one line of 1 to ${limits.subjectLength} characters`);
  }
}

export function invalidParameter(name: string, because: string) {
  return serviceError('InvalidParameter', `Invalid parameter: ${name}: ${because}.`);
}
