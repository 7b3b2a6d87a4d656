/**
 * Messages over HTTP. Redirects are not followed, an answer is read up to a bound, and a name is looked up once: the
 * address that was judged is the one that is connected to.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { notificationJson } from './notification.ts';
import { isOwnAddress, refusalOfUrl } from './reachable-address.ts';
import type { Sender } from './sender.ts';
import { webhookHeaders } from './signature.ts';
import type { Subscription } from './topic.ts';

export interface WebhookOptions {
  /** Whether a webhook may lead to this machine itself. */
  readonly toOwnAddresses: boolean;
  readonly secretOf: (subscription: Subscription) => string;
  readonly nowMs: () => number;
  readonly timeoutMs?: number;
}

const mostAnswerBytes = 64 * 1024;

export function webhookSender({
  toOwnAddresses,
  secretOf,
  nowMs,
  timeoutMs = 10_000,
}: WebhookOptions): Sender {
  return {
    async send(message, subscription, stopping) {
      const refusal = refusalOfUrl(subscription.endpoint, toOwnAddresses);
      if (refusal !== undefined) throw new Error(`The URL is not taken: ${refusal}.`);
      const url = new URL(subscription.endpoint);
      const body = notificationJson(message, subscription);
      const status = await post(url, {
        body,
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'user-agent': 'Larder',
          // As SNS's receivers expect it.
          'x-amz-sns-message-type': 'Notification',
          'x-amz-sns-message-id': message.id,
          'x-amz-sns-topic-arn': message.topicArn,
          ...webhookHeaders(secretOf(subscription), { id: message.id, atMs: nowMs(), body }),
        },
        toOwnAddresses,
        signal: AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]),
      });
      if (status < 200 || status > 299) throw new Error(`The webhook answered ${status}.`);
    },
  };
}

interface Post {
  readonly body: string;
  readonly headers: Record<string, string>;
  readonly toOwnAddresses: boolean;
  readonly signal: AbortSignal;
}

function post(url: URL, { body, headers, toOwnAddresses, signal }: Post): Promise<number> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = send(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        agent: false,
        signal,
        ...(!toOwnAddresses && isIP(url.hostname) === 0 && { lookup: lookupElsewhere }),
      },
      (response) => {
        let sizeBytes = 0;
        response.on('data', (chunk: Buffer) => {
          sizeBytes += chunk.length;
          if (sizeBytes > mostAnswerBytes) response.destroy(new Error('The webhook answers without end.'));
        });
        response.once('error', reject);
        response.once('end', () => resolve(response.statusCode ?? 0));
      },
    );
    sent.once('error', (error) =>
      reject(signal.aborted ? new Error('The webhook did not answer in time.') : error),
    );
    sent.end(body);
  });
}

/** As `dns.lookup`, without addresses of this machine and its link. */
const lookupElsewhere: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, []);
    const elsewhere = addresses.filter(({ address }) => !isOwnAddress(address));
    const [first] = elsewhere;
    if (first === undefined) {
      return callback(
        new Error(`${hostname} leads to this machine or its link, where webhooks may not go.`),
        [],
      );
    }
    if (options.all === true) callback(null, elsewhere);
    else callback(null, first.address, first.family);
  });
};
