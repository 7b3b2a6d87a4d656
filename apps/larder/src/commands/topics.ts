/** `larder topics deliveries|secret`: what SNS's own operations can't show. */
import type { ShownDelivery } from '@larder/control/topic/topics';
import { askOperator } from '../site/operator-socket.ts';

export async function listDeliveries(
  dataDirectory: string,
  { retry, json }: { readonly retry: boolean; readonly json: boolean },
): Promise<void> {
  if (retry) {
    const { retried } = (await askOperator(dataDirectory, 'POST', '/topic-deliveries/retry')) as {
      retried: number;
    };
    if (!json) process.stdout.write(`${retried} given up before are tried again.\n`);
  }
  const found = (await askOperator(dataDirectory, 'GET', '/topic-deliveries')) as readonly ShownDelivery[];
  if (json) return void process.stdout.write(`${JSON.stringify(found)}\n`);
  if (found.length === 0) process.stdout.write('Everything that was published is delivered.\n');
  for (const { messageId, protocol, endpoint, status, attempts, at, failure } of found) {
    const when = status === 'dead' ? `given up ${at}` : `next try ${at}`;
    process.stdout.write(
      `${messageId}  ${protocol} ${endpoint}  ${attempts} failed, ${when}${failure === undefined ? '' : `\n  ${failure}`}\n`,
    );
  }
}

/** Prints it, this once. */
export async function makeWebhookSecret(
  dataDirectory: string,
  subscription: string,
  json: boolean,
): Promise<void> {
  const path = `/webhook-secrets?subscription=${encodeURIComponent(subscription)}`;
  const { secret } = (await askOperator(dataDirectory, 'POST', path)) as { secret: string };
  process.stdout.write(
    json
      ? `${JSON.stringify({ secret })}\n`
      : `${secret}\nMessages to this webhook are signed with it from now on (Standard Webhooks, v1).\n`,
  );
}
