/** What a controller answers that does not lead: not now, and that another one does. */
import { Hono } from 'hono';

const message = 'This controller stands by; another one leads. Ask that one, or this one again in a moment.';

/** `GET /health` tells it to load balancers, everything else to clients, whose SDKs then try again. */
export function createStandby(): Hono {
  const standby = new Hono();
  standby.get('/health', (context) => context.json({ status: 'standby' }, 503));
  standby.notFound((context) => {
    context.header('retry-after', '1');
    return context.body(
      `<ErrorResponse xmlns="http://elasticache.amazonaws.com/doc/2015-02-02/"><Error><Type>Receiver</Type><Code>ServiceUnavailable</Code><Message>${message}</Message></Error></ErrorResponse>`,
      503,
      { 'content-type': 'text/xml' },
    );
  });
  return standby;
}
