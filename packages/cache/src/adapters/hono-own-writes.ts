/** Reading your own writes for Hono, where it runs on Node. */
import type { MiddlewareHandler } from 'hono';
import type { Cache } from '../cache.ts';
import { type OwnWritesTransport, ownWritesRequests } from './own-writes-ticket.ts';

export type { OwnWritesTransport } from './own-writes-ticket.ts';

/**
 * `app.use(honoOwnWrites(cache, { secret }))`, before the routes. A handler that wrote calls
 * `await cache.ownWrites.wrote()` after its commit and before it answers: its own later reads, and the client's
 * next requests to any process, then see what was written. Throws CacheConfigError.
 */
export function honoOwnWrites(
  cache: Pick<Cache, 'name' | 'ownWrites'>,
  transport: OwnWritesTransport,
): MiddlewareHandler {
  const requestOf = ownWritesRequests(cache, transport);
  return async (context, next) => {
    const own = requestOf((name) => context.req.header(name));
    await own.run(next);
    const header = own.responseHeader();
    if (header !== undefined) context.header(header[0], header[1], { append: header[0] === 'set-cookie' });
  };
}
