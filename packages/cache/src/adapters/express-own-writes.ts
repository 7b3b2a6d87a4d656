/** Reading your own writes for Express, and for anything else with middlewares of its shape: Connect, Polka. */
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
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
    const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse;
    response.writeHead = (...args: unknown[]) => {
      response.writeHead = writeHead;
      const header = own.responseHeader();
      if (header === undefined) return writeHead.apply(response, args);
      // Headers that come with the call would replace ours.
      const given = args.at(-1);
      if (typeof given === 'object' && given !== null) setHeaders(response, args.pop() as OutgoingHeaders);
      if (header[0] === 'set-cookie') response.appendHeader(...header);
      else response.setHeader(...header);
      return writeHead.apply(response, args);
    };
    own.run(next);
  };
}

type OutgoingHeaders = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** As `writeHead` does: an object, or a list of names and values by turns, which may repeat names. */
function setHeaders(response: ServerResponse, headers: OutgoingHeaders): void {
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) response.setHeader(name, value);
    return;
  }
  const pairs = Array.from({ length: headers.length / 2 }, (_, i) => headers.slice(2 * i, 2 * i + 2));
  for (const [name] of pairs) response.removeHeader(String(name));
  for (const [name, value] of pairs) {
    response.appendHeader(String(name), Array.isArray(value) ? value : String(value));
  }
}
