/**
 * How the token of `cache.ownWrites` travels to a client and back: in a cookie, or in a header for clients without
 * cookies. It is signed. A client that could name a position of its own making would be served past the cache for as
 * long as it likes, and with it the database would bear the load that the cache is there to keep away.
 */
import { AsyncResource } from 'node:async_hooks';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Cache } from '../cache.ts';
import { CacheConfigError } from '../errors.ts';

export interface OwnWritesTransport {
  /** Signs the tokens; the same in every process. At least 16 characters. Of several the first signs, all are accepted. */
  readonly secret: string | readonly string[];
  /**
   * Carries the token. Always HttpOnly and SameSite=Lax. Default: `larder-own-writes`, for 10 s, on `/`; `secure` is
   * false, as there is no secret in it.
   */
  readonly cookie?: {
    readonly name?: string;
    readonly maxAgeSeconds?: number;
    readonly path?: string;
    readonly domain?: string;
    readonly secure?: boolean;
  };
  /**
   * A header of requests and responses instead of the cookie, such as `larder-own-writes`, for clients that send back
   * what the last response with this header brought.
   */
  readonly header?: string;
}

/** One request's part in it. */
export interface OwnWritesRequest {
  /** Runs what handles the request. */
  run<T>(work: () => T): T;
  /** The header to add to the response, before it is sent; undefined when the request wrote nothing. */
  responseHeader(): readonly [name: 'set-cookie' | (string & {}), value: string] | undefined;
}

const leastSecretLength = 16;
const namePattern = /^[\w!#$%&'*+.^`|~-]+$/;
const attributePattern = /^[^;\r\n]*$/;

/** Throws CacheConfigError. The result gives each request its part, from a header of the request by its name. */
export function ownWritesRequests(
  cache: Pick<Cache, 'name' | 'ownWrites'>,
  transport: OwnWritesTransport,
): (header: (name: string) => string | undefined) => OwnWritesRequest {
  const secrets = [transport.secret].flat();
  if (secrets.length === 0 || secrets.some((secret) => secret.length < leastSecretLength)) {
    throw new CacheConfigError(`\`secret\` of own writes needs at least ${leastSecretLength} characters.`);
  }
  const {
    name = 'larder-own-writes',
    maxAgeSeconds = 10,
    path = '/',
    domain,
    secure,
  } = transport.cookie ?? {};
  if (!namePattern.test(name) || !attributePattern.test(path) || !attributePattern.test(domain ?? '')) {
    throw new CacheConfigError(
      '`cookie` of own writes has a name, a path or a domain that no cookie can have.',
    );
  }
  if (!(Number.isSafeInteger(maxAgeSeconds) && maxAgeSeconds > 0)) {
    throw new CacheConfigError('`cookie.maxAgeSeconds` of own writes must be a whole number from 1.');
  }
  const header = transport.header?.toLowerCase();
  if (header !== undefined && !namePattern.test(header)) {
    throw new CacheConfigError('`header` of own writes is not a header name.');
  }
  const attributes = [
    `Max-Age=${maxAgeSeconds}`,
    `Path=${path}`,
    ...(domain === undefined ? [] : [`Domain=${domain}`]),
    'HttpOnly',
    'SameSite=Lax',
    ...(secure === true ? ['Secure'] : []),
  ].join('; ');

  const sign = (token: string, secret: string): string =>
    createHmac('sha256', secret)
      .update(`own writes\n${cache.name}\n${token}`)
      .digest('base64url')
      .slice(0, 22);
  const open = (ticket: string | undefined): string | undefined => {
    const [, token, signature] = /^([0-9a-f]{16})\.([\w-]{22})$/.exec(ticket ?? '') ?? [];
    if (token === undefined || signature === undefined) return undefined;
    const given = Buffer.from(signature);
    const genuine = secrets.some((secret) => timingSafeEqual(Buffer.from(sign(token, secret)), given));
    return genuine ? token : undefined;
  };

  return (headerOf) => {
    const ticket = header === undefined ? cookieOf(headerOf('cookie'), name) : headerOf(header);
    const before = open(ticket);
    let now = (): string | undefined => before;
    return {
      run: (work) =>
        cache.ownWrites.run(before, () => {
          // The response may be sent from a context that has lost the session.
          now = AsyncResource.bind(() => cache.ownWrites.token());
          return work();
        }),
      responseHeader() {
        const token = now();
        if (token === undefined || token === before) return undefined;
        const signed = `${token}.${sign(token, secrets[0]!)}`;
        return header === undefined ? ['set-cookie', `${name}=${signed}; ${attributes}`] : [header, signed];
      },
    };
  };
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
