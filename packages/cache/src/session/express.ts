/** Sessions for express-session. */
import session, { type SessionData } from 'express-session';
import { cookieFromStore, cookieLifetimeMs, cookieToStore } from './cookie-field.ts';
import { type SessionData as Data, SessionHandle, type Sessions } from './session.ts';

type Done = (error?: unknown) => void;
type Express = Parameters<session.Store['createSession']>[0];

/** On the data that `get` gave, then on the session that was made of it; JSON and keys don't see it. */
const handleOf = Symbol('larder session handle');
type Marked = { [handleOf]?: SessionHandle };

/**
 * `app.use(expressSession({ store: new ExpressSessionStore(sessions), resave: false, saveUninitialized: false, … }))`
 *
 * As that package's contract says, with these differences. A late save of a session that was destroyed or expired is
 * dropped, and its callback gets no error. `all` gives sessions without their ids: only hashes are stored. With
 * `resave: true` a request that changed nothing still writes nothing. A session lives as long as its cookie says,
 * or, where that says nothing, the store's `ttlMs`.
 *
 * Round trips: one to get; none for a request that only read, but for a touch every `touchEveryMs`; one to save.
 */
export class ExpressSessionStore extends session.Store {
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    super();
    this.#sessions = sessions;
  }

  override get(id: string, callback: (error: unknown, session?: SessionData | null) => void): void {
    this.#sessions.load(id).then((loaded) => {
      if (loaded === undefined) {
        callback(null, null);
        return;
      }
      const { data, handle } = loaded;
      data.cookie = cookieFromStore(data.cookie);
      (data as Marked)[handleOf] = handle;
      callback(null, data as unknown as SessionData);
    }, callback);
  }

  /** The package copies what `get` gave into a session of its own; what it knew goes along. */
  override createSession(request: Express, data: SessionData): ReturnType<session.Store['createSession']> {
    const made = super.createSession(request, data);
    const handle = (data as Marked)[handleOf];
    if (handle !== undefined) (made as Marked)[handleOf] = handle;
    return made;
  }

  override set(id: string, data: SessionData, callback: Done = () => {}): void {
    const ttlMs = cookieLifetimeMs(data.cookie);
    if (ttlMs !== undefined && ttlMs <= 0) {
      this.destroy(id, callback);
      return;
    }
    let handle = (data as Marked)[handleOf];
    if (handle === undefined && (data as { readonly id?: unknown }).id === id) {
      handle = new SessionHandle();
      (data as Marked)[handleOf] = handle;
    }
    const plain: Data = { ...data, cookie: cookieToStore(data.cookie) };
    this.#sessions.save(id, plain, { handle, ttlMs }).then(() => callback(null), callback);
  }

  override touch(id: string, data: SessionData, callback: Done = () => {}): void {
    this.#sessions.touch(id, cookieLifetimeMs(data.cookie)).then(() => callback(null), callback);
  }

  override destroy(id: string, callback: Done = () => {}): void {
    this.#sessions.destroy(id).then(() => callback(null), callback);
  }

  override all(callback: (error: unknown, sessions?: SessionData[] | null) => void): void {
    this.#all().then((sessions) => callback(null, sessions), callback);
  }

  override length(callback: (error: unknown, length?: number) => void): void {
    this.#sessions.count().then((count) => callback(null, count), callback);
  }

  override clear(callback: Done = () => {}): void {
    this.#sessions.clear().then(() => callback(null), callback);
  }

  async #all(): Promise<SessionData[]> {
    const found: SessionData[] = [];
    for await (const data of this.#sessions.all()) {
      found.push({ ...data, cookie: cookieFromStore(data.cookie) } as unknown as SessionData);
    }
    return found;
  }
}
