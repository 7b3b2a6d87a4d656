/** Messages as e-mail, by the mail server that the operator named. */
import { createTransport } from 'nodemailer';
import type { Sender } from './sender.ts';
import type { TopicMessage } from './topic.ts';

export interface MailOptions {
  /** `smtps://user:password@host:port`. Never logged: errors name what happened and not where. */
  readonly smtpUrl: string;
  readonly from: string;
}

const timeoutMs = 15_000;

export function mailSender({ smtpUrl, from }: MailOptions): Sender & { close(): void } {
  const transport = createTransport({
    url: smtpUrl,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    // What a message says is text: it can't name a file or a URL of ours to be attached.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(message, subscription) {
      await transport.sendMail({
        from,
        to: { name: '', address: subscription.endpoint },
        subject: message.subject ?? 'Notification',
        text: `${message.body}\n\n--\n${footer(message, subscription.arn)}\n`,
        // The same in every attempt: a mail server may drop the second of two alike.
        messageId: `<${message.id}.${subscription.arn.slice(-12)}@larder>`,
        headers: { 'X-Larder-Message-ID': message.id, 'Auto-Submitted': 'auto-generated' },
      });
    },
    close: () => transport.close(),
  };
}

function footer({ topicArn, id }: TopicMessage, subscriptionArn: string): string {
  return `Message ${id} of ${topicArn}.\nNo more of them: aws sns unsubscribe --subscription-arn ${subscriptionArn}`;
}
