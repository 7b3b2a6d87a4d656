/** Sessions for Hono. */
import { randomBytes } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie';
import { CacheConfigError } from '../errors.ts';
import { type SessionData, SessionHandle, type Sessions } from './session.ts';

export interface HonoSessionOptions {
  /** Signs the cookie; at least 32 characters. */
  readonly secret: string;
  readonly cookie?: {
    /** Default 'session'. */
    readonly name?: string;
    /** Default '/'. */
    readonly path?: string;
    readonly domain?: string;
    /** Default true. */
    readonly secure?: boolean;
    /** Default 'Lax'. */
    readonly sameSite?: 'Strict' | 'Lax' | 'None';
  };
}

export interface HonoSessionVariables {
  readonly session: HonoSession;
}

/** The session of one request: `c.get('session')`. What is changed in `data` is saved after the handler. */
export class HonoSession {
  readonly #sessions: Sessions;
  #id: string | undefined;
  #handle: SessionHandle;
  /** Not saved yet, or under a new id: the client has to learn it. */
  #unknownToClient: boolean;
  #ended = false;
  data: SessionData;

  /** @internal */
  constructor(
    sessions: Sessions,
    found: { readonly id: string; readonly data: SessionData; readonly handle: SessionHandle } | undefined,
  ) {
    this.#sessions = sessions;
    this.#id = found?.id;
    this.data = found?.data ?? {};
    this.#handle = found?.handle ?? new SessionHandle();
    this.#unknownToClient = found === undefined;
  }

  /** Nothing of it has been saved. */
  get isNew(): boolean {
    return this.#id === undefined;
  }

  /**
   * Goes on under a new id with the same data, and ends the old one, also for other requests that hold it. To be
   * called when somebody logs in: whoever planted the old id has nothing then. Rejects with SharedTierError.
   */
  async regenerate(): Promise<void> {
    if (this.#id !== undefined) await this.#sessions.destroy(this.#id);
    this.#id = undefined;
    this.#handle = new SessionHandle();
    this.#unknownToClient = true;
    this.#ended = false;
  }

  /** Ends the session everywhere, and takes the client's cookie. Rejects with SharedTierError: it may be alive. */
  async destroy(): Promise<void> {
    if (this.#id !== undefined) await this.#sessions.destroy(this.#id);
    this.#id = undefined;
    this.data = {};
    this.#ended = true;
  }

  /** What the client is to do with its cookie. @internal */
  async commit(): Promise<{ readonly set: string } | 'remove' | 'leave'> {
    if (this.#ended) return 'remove';
    if (this.#id === undefined && Object.keys(this.data).length === 0) return 'leave';
    this.#id ??= randomBytes(24).toString('base64url');
    const outcome = await this.#sessions.save(this.#id, this.data, { handle: this.#handle });
    if (outcome === 'destroyed' || outcome === 'gone' || outcome === 'dropped') return 'leave';
    return this.#unknownToClient || this.#sessions.rolling ? { set: this.#id } : 'leave';
  }
}

/**
 * Gives every request `c.get('session')`. One round trip to load, where the request has a cookie; saving costs what
 * `Sessions.save` says. An id that isn't stored is never taken over from the client. Throws CacheConfigError.
 */
export function honoSessions(
  sessions: Sessions,
  { secret, cookie = {} }: HonoSessionOptions,
): MiddlewareHandler<{ Variables: HonoSessionVariables }> {
  if (typeof secret !== 'string' || secret.length < 32) {
    throw new CacheConfigError('`secret` of sessions must have at least 32 characters.');
  }
  const { name = 'session', path = '/', domain, secure = true, sameSite = 'Lax' } = cookie;
  const place = { path, ...(domain === undefined ? {} : { domain }), secure };
  const attributes = {
    ...place,
    httpOnly: true,
    sameSite,
    maxAge: Math.ceil(sessions.ttlMs / 1_000),
  } as const;
  return async (context, next) => {
    const id = await getSignedCookie(context, secret, name);
    const loaded = typeof id === 'string' && id !== '' ? await sessions.load(id) : undefined;
    const found = loaded === undefined ? undefined : { id: id as string, ...loaded };
    const session = new HonoSession(sessions, found);
    (context as Context<{ Variables: { session: HonoSession } }>).set('session', session);
    await next();
    const wish = await session.commit();
    if (wish === 'remove') deleteCookie(context, name, place);
    else if (wish !== 'leave') await setSignedCookie(context, name, wish.set, secret, attributes);
  };
}
