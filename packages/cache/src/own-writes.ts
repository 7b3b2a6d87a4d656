/**
 * Read your own writes. After a commit the writer asks the database how far its log is; a read that carries this
 * position is served only by what certainly contains everything up to it, else from the database. The position
 * travels with the work: in this process by AsyncLocalStorage, to the client's next request by a cookie or a
 * header, see `OwnWrites.token`.
 *
 * Its cost: a question to the database after each write, and for some tens of milliseconds after it, until the
 * feed has proved to be that far, this session's reads go past the cache.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { CacheConfigError } from './errors.ts';
import { positionFromHex, positionToHex } from './position.ts';

interface Session {
  /** 16 hex digits; '' before the first write. */
  position: string;
}

const tokenPattern = /^[0-9a-f]{16}$/;
/** Bytes of log that a feed may lag; the shared tier is useless by then. */
const furthestAhead = 1n << 34n;

export class OwnWrites {
  readonly #sessions = new AsyncLocalStorage<Session>();
  readonly #position: (() => Promise<bigint>) | undefined;
  readonly #newestSeen: () => string;
  /** Whether there ever was a session: every near read asks. @internal */
  used = false;

  /**
   * @param position of the database's log, now; undefined when the cache can't ask.
   * @param newestSeen the furthest position that the shared tier was seen at; '' for none.
   */
  constructor(position: (() => Promise<bigint>) | undefined, newestSeen: () => string) {
    this.#position = position;
    this.#newestSeen = newestSeen;
  }

  /**
   * Runs `work` as one session: what it writes, and what `token` says was written before, its reads will see.
   * @param token from an earlier `token()`; anything else that a client may send counts as none, and so does a
   * position far beyond any that was seen. One that is merely made up sends its session past the cache for a while:
   * sign it where that matters, as the adapters do.
   */
  run<T>(token: string | undefined, work: () => T): T {
    this.used = true;
    const position = token !== undefined && this.#isPlausible(token) ? token : '';
    return this.#sessions.run({ position }, work);
  }

  #isPlausible(token: string): boolean {
    if (!tokenPattern.test(token)) return false;
    const newest = this.#newestSeen();
    return newest === '' || positionFromHex(token) <= positionFromHex(newest) + furthestAhead;
  }

  /**
   * To be called after the commit, inside of `run`. Rejects with CacheConfigError outside of it, or when the cache
   * has no `database`, and with the database's own error: what was written may then be read late.
   */
  async wrote(): Promise<void> {
    if (this.#position === undefined) {
      throw new CacheConfigError('Reading your own writes needs the `database` option of createCache.');
    }
    const session = this.#sessions.getStore();
    if (session === undefined) throw new CacheConfigError('`wrote` belongs inside of `ownWrites.run`.');
    const position = positionToHex(await this.#position());
    if (position > session.position) session.position = position;
  }

  /** For the next request of the same client; undefined when the session wrote nothing. 16 hex digits, no secret. */
  token(): string | undefined {
    return this.least();
  }

  /** @internal */
  least(): string | undefined {
    if (!this.used) return undefined;
    const position = this.#sessions.getStore()?.position;
    return position === '' ? undefined : position;
  }
}
