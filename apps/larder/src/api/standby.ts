/** What a controller answers that does not lead: not now, and that another one does. */
import { randomUUID } from 'node:crypto';
import { encodeError } from '@larder/contract/codec/error-body';
import { serviceError } from '@larder/contract/errors';
import { Hono } from 'hono';
import { errorProtocolOf } from './server.ts';

const message = 'This controller stands by; another one leads. Ask that one, or this one again in a moment.';

/**
 * `GET /health` tells it to load balancers, everything else to clients in the protocol they speak, whose SDKs then try
 * again. No body is read, so forms of every service are answered as ElastiCache's.
 */
export function createStandby(): Hono {
  const standby = new Hono();
  standby.get('/health', (context) => context.json({ status: 'standby' }, 503));
  standby.notFound((context) => {
    const requestId = randomUUID();
    const error = serviceError('ServiceUnavailable', message);
    const { headers, body } = encodeError(error, requestId, errorProtocolOf(context));
    const always = { 'retry-after': '1', 'x-amzn-requestid': requestId };
    return new Response(body, { status: error.httpStatus, headers: { ...headers, ...always } });
  });
  return standby;
}
