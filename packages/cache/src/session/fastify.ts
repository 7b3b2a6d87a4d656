/** Sessions for @fastify/session. */
import type { SessionStore } from '@fastify/session';
import type { Session } from 'fastify';
import { cookieFromStore, cookieLifetimeMs, cookieToStore } from './cookie-field.ts';
import { type SessionData, SessionHandle, type Sessions } from './session.ts';

/**
 * That package copies what `get` gave into a session of its own, property by property, and hands that one to `set`.
 * This property travels along and says what was loaded. It is never stored.
 */
const carrier = 'larderLoaded';

/** Without a place in the JSON of a session, so that it changes no hash of it. */
class Carried {
  readonly handle: SessionHandle;

  constructor(handle: SessionHandle) {
    this.handle = handle;
  }

  toJSON(): undefined {
    return undefined;
  }
}

/**
 * `app.register(fastifySession, { store: new FastifySessionStore(sessions), secret, … })`
 *
 * A late save of a session that was destroyed or expired is dropped, and its callback gets no error. The package
 * saves after every request, unless told otherwise; one that changed nothing costs a touch every `touchEveryMs`.
 * Loaded sessions have a property `larderLoaded`: leave it alone.
 */
export class FastifySessionStore implements SessionStore {
  readonly #sessions: Sessions;
  readonly #handles = new WeakMap<object, SessionHandle>();

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  get(id: string, callback: (error: unknown, session?: Session | null) => void): void {
    this.#sessions.load(id).then((loaded) => {
      if (loaded === undefined) {
        callback(null, null);
        return;
      }
      const { data, handle } = loaded;
      const cookie = cookieFromStore(data.cookie);
      callback(null, { ...data, cookie, [carrier]: new Carried(handle) } as unknown as Session);
    }, callback);
  }

  set(id: string, session: Session, callback: (error?: unknown) => void): void {
    const { [carrier]: carried, ...rest } = session as unknown as SessionData;
    let handle = carried instanceof Carried ? carried.handle : this.#handles.get(session);
    if (handle === undefined) {
      handle = new SessionHandle();
      this.#handles.set(session, handle);
    }
    const ttlMs = cookieLifetimeMs(rest.cookie);
    if (ttlMs !== undefined && ttlMs <= 0) {
      this.destroy(id, callback);
      return;
    }
    const data = { ...rest, cookie: cookieToStore(rest.cookie) };
    this.#sessions.save(id, data, { handle, ttlMs }).then(() => callback(), callback);
  }

  destroy(id: string, callback: (error?: unknown) => void): void {
    this.#sessions.destroy(id).then(() => callback(), callback);
  }
}
