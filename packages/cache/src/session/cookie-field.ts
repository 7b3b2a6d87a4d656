/**
 * The cookie that express-session and @fastify/session keep in a session. Its `expires` moves with every request,
 * so storing it would make every request a write; how long the session lives is known to the engine anyway. Only the
 * lifetime is stored, and `expires` is made anew out of it.
 */
export interface StoredCookie {
  readonly originalMaxAge?: number | null;
  readonly expires?: Date | string | null;
  readonly [field: string]: unknown;
}

export function cookieToStore(cookie: unknown): unknown {
  const plain = plainCookie(cookie);
  if (typeof plain?.originalMaxAge !== 'number') return plain;
  const stored: Record<string, unknown> = {};
  for (const field of Object.keys(plain)) if (!moving.has(field)) stored[field] = plain[field];
  return stored;
}

const moving = new Set(['expires', 'originalExpires', 'maxAge']);

/** Adds to the object that it is given. */
export function cookieFromStore(stored: unknown): StoredCookie {
  const cookie = plainCookie(stored);
  if (cookie === undefined) return { originalMaxAge: null };
  if (typeof cookie.originalMaxAge !== 'number') return cookie;
  return Object.assign(cookie, { expires: new Date(Date.now() + cookie.originalMaxAge) });
}

/** What is left of the cookie's lifetime, ms; undefined when it has none of its own. */
export function cookieLifetimeMs(cookie: unknown): number | undefined {
  if (typeof cookie !== 'object' || cookie === null) return undefined;
  const { expires } = cookie as StoredCookie;
  if (expires === undefined || expires === null) return undefined;
  const untilMs = expires instanceof Date ? expires.getTime() : Date.parse(expires);
  return Number.isNaN(untilMs) ? undefined : untilMs - Date.now();
}

function plainCookie(cookie: unknown): StoredCookie | undefined {
  if (typeof cookie !== 'object' || cookie === null) return undefined;
  const { toJSON } = cookie as { readonly toJSON?: () => unknown };
  return (typeof toJSON === 'function' ? toJSON.call(cookie) : cookie) as StoredCookie;
}
