/**
 * (pure) How receivers of webhooks know that a message is from here: Standard Webhooks, for which there are libraries in
 * most languages. Headers `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`
 * (`v1,` and the base64 of an HMAC-SHA256 over `ID.TIMESTAMP.BODY`).
 */
import { createHmac } from 'node:crypto';

/** @param secret as `larder topics secret` shows it: `whsec_` and base64. */
export function webhookHeaders(
  secret: string,
  sent: { readonly id: string; readonly atMs: number; readonly body: string },
): Record<string, string> {
  const timestamp = String(Math.floor(sent.atMs / 1_000));
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${sent.id}.${timestamp}.${sent.body}`).digest('base64');
  return {
    'webhook-id': sent.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  };
}
