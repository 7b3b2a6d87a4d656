/** Reading your own writes for Express, and for anything else with middlewares of its shape: Connect, Polka. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cache } from '../cache.ts';
import { type OwnWritesTransport, ownWritesRequests } from './own-writes-ticket.ts';

export type { OwnWritesTransport } from './own-writes-ticket.ts';

/**
 * `app.use(expressOwnWrites(cache, { secret }))`, before the routes. A handler that wrote calls
 * `await cache.ownWrites.wrote()` after its commit and before it answers: its own later reads, and the client's
 * next requests to any process, then see what was written. Throws CacheConfigError.
 */
export function expressOwnWrites(
  cache: Pick<Cache, 'name' | 'ownWrites'>,
  transport: OwnWritesTransport,
): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  const requestOf = ownWritesRequests(cache, transport);
  return (request, response, next) => {
    const own = requestOf((name) => request.headers[name] as string | undefined);
    const writeHead = response.writeHead;
    response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
      response.writeHead = writeHead;
      const header = own.responseHeader();
      if (header?.[0] === 'set-cookie') response.appendHeader(...header);
      else if (header !== undefined) response.setHeader(...header);
      return (writeHead as (...args: unknown[]) => ServerResponse).apply(this, args);
    };
    own.run(next);
  };
}
