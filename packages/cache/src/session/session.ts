/**
 * Sessions in the shared tier.
 *
 * What holds, across processes:
 *  - A destroyed session stays destroyed: a request that loaded it before and saves it after is refused, for
 *    `longestRequestMs`. So is a save of one that expired or was lost meanwhile.
 *  - Concurrent saves of one session merge by top-level key: each save writes what its request changed, added and
 *    deleted since it loaded, on top of what stands there. Of two that change the same key the later save wins, whole.
 *  - A session lives at least its time to live after the last request that touched it, and at most `touchEveryMs`
 *    longer (expiry 'rolling'), or exactly that long after it was created ('fixed').
 *
 * What doesn't: the engine replicates asynchronously. A failover to a replica can lose the last saves, touches and
 * destructions before it, those of the replication's lag: a session may be as it was a moment earlier, and one that
 * was destroyed in that moment may be alive again. An engine that dies without a replica or a file loses all.
 */
import { hash } from 'node:crypto';
import type { Cache } from '../cache.ts';
import { CacheConfigError, SharedTierError } from '../errors.ts';
import { Keyspace, type Spot } from '../far/keyspace.ts';
import { tell } from '../telemetry.ts';
import {
  type Changes,
  changesBetween,
  decodeFields,
  encodeFields,
  type FlatFields,
  fieldsOf,
  type SessionBase,
  type SessionData,
  tooLarge,
} from './fields.ts';
import { destroyScript, pageScript, saveScript, touchScript } from './scripts.ts';
import { TouchLog } from './touch-log.ts';

export type { SessionData };

export interface SessionsOptions {
  /** Letters, digits, `_`, `.` and `-`; the same in every process. Default 'web'. */
  readonly name?: string;
  /** How long a session lives that says nothing else. Default 86,400,000, a day. */
  readonly ttlMs?: number;
  /** 'rolling', the default: from the last request. 'fixed': from its creation. */
  readonly expiry?: 'rolling' | 'fixed';
  /**
   * A session is touched in the shared tier at most so often by each process, and lives so much longer. Default: a
   * tenth of `ttlMs`, at most a minute. 0: by every request, one round trip each.
   */
  readonly touchEveryMs?: number;
  /**
   * For so long after a session was destroyed no save can bring it back. Longer than any request lasts, from its
   * load to its save. Costs some 100 bytes a destroyed session. Default 3,600,000, an hour.
   */
  readonly longestRequestMs?: number;
  /** Of JSON, with the keys. Default 65,536. */
  readonly maxBytes?: number;
  /** How long a call waits for a node that is down, as during a failover. Default 500. */
  readonly patienceMs?: number;
  /**
   * What `load` does when the shared tier stays down. 'fail', the default: rejects with SharedTierError, so that
   * nobody is taken for a stranger. 'anonymous': there is no session; what is saved meanwhile is dropped. Destroying
   * a session rejects under either: nobody may believe that they are logged out.
   */
  readonly whenDown?: 'fail' | 'anonymous';
}

/** A session as one request sees it. Not to be shared by two requests. */
export interface LoadedSession {
  /** The request's own; may be changed freely. */
  readonly data: SessionData;
  /** For `save`, so that it knows what this request changed. */
  readonly handle: SessionHandle;
}

/** What a request knew of its session when it last loaded or saved it. Opaque. */
export class SessionHandle {
  #flat: FlatFields;
  #base: SessionBase | undefined;
  readonly #version: string | undefined;

  /** Without arguments: of a session that is new; its first save replaces what is there. */
  constructor(flat: FlatFields = [], version?: string) {
    this.#flat = flat;
    this.#version = version;
  }

  /** Only a save needs it, and most requests save nothing. @internal */
  get base(): SessionBase | undefined {
    if (this.#base === undefined && this.#version !== undefined) {
      this.#base = { version: this.#version, fields: fieldsOf(this.#flat) };
    }
    return this.#base;
  }

  /** @internal */
  set base(base: SessionBase) {
    this.#base = base;
    this.#flat = [];
  }
}

/**
 * 'saved' · 'merged': another request had saved meanwhile · 'unchanged': nothing to write; touched · 'destroyed':
 * refused, somebody destroyed it · 'gone': refused, it had expired or was lost · 'dropped': the shared tier is down,
 * `whenDown: 'anonymous'`.
 */
export type SaveOutcome = 'saved' | 'merged' | 'unchanged' | 'destroyed' | 'gone' | 'dropped';

export interface SaveOptions {
  /** From `load`, or a new one. Without it, as with a new one, the session replaces what is there. */
  readonly handle?: SessionHandle | undefined;
  /** Default the store's. A change counts with the next write or touch. */
  readonly ttlMs?: number | undefined;
}

const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;
const maxIdLength = 512;
const pageSize = 200;
/** Never equal to a stored one: what others wrote isn't in this request's sizes. */
const mergedVersion = '0';

/** Throws CacheConfigError. Sessions end with the cache's connections, by `cache.close()`. */
export function createSessions(cache: Cache, options: SessionsOptions = {}): Sessions {
  return new Sessions(cache, options);
}

export class Sessions {
  readonly name: string;
  readonly ttlMs: number;
  readonly rolling: boolean;
  readonly #cache: string;
  readonly #keys: Keyspace;
  readonly #touchEveryMs: number;
  readonly #longestRequestMs: number;
  readonly #maxBytes: number;
  readonly #anonymous: boolean;
  readonly #touches: TouchLog;

  /** Throws CacheConfigError. */
  constructor(cache: Cache, options: SessionsOptions) {
    const { name, ttlMs, touchEveryMs, longestRequestMs, maxBytes, patienceMs } = checkOptions(options);
    this.name = name;
    this.ttlMs = ttlMs;
    this.rolling = options.expiry !== 'fixed';
    this.#cache = cache.name;
    this.#keys = new Keyspace(cache.internals, `#s:${name}:`, patienceMs);
    this.#touchEveryMs = this.rolling ? touchEveryMs : 0;
    this.#longestRequestMs = longestRequestMs;
    this.#maxBytes = maxBytes;
    this.#anonymous = options.whenDown === 'anonymous';
    this.#touches = new TouchLog(cache.internals.clock, touchEveryMs);
  }

  /**
   * The session, or undefined: never saved, expired, destroyed, lost. One round trip. Rejects with SharedTierError,
   * unless `whenDown` is 'anonymous'.
   */
  async load(id: string): Promise<LoadedSession | undefined> {
    const { partition, key } = this.#spot(id);
    let flat: FlatFields;
    try {
      flat = (await this.#keys.send(partition, ['HGETALL', key])) as FlatFields;
    } catch (error) {
      if (this.#anonymous && error instanceof SharedTierError) {
        this.#tell('anonymous');
        return undefined;
      }
      throw error;
    }
    const found = decodeFields(flat);
    return found && { data: found.data, handle: new SessionHandle(flat, found.version) };
  }

  /**
   * Writes what changed. One round trip; with nothing to write at most one, see `touch`. Afterwards the handle knows
   * what was saved. Rejects with SessionValueError, and with SharedTierError when the shared tier is down.
   */
  async save(
    id: string,
    data: Readonly<SessionData>,
    { handle, ttlMs = this.ttlMs }: SaveOptions = {},
  ): Promise<SaveOutcome> {
    const base = handle?.base;
    const wanted = encodeFields(data, this.#maxBytes);
    const changes = changesBetween(base?.fields, wanted);
    if (base !== undefined && changes.written.length === 0 && changes.removed.length === 0) {
      await this.touch(id, ttlMs);
      return 'unchanged';
    }
    const spot = this.#spot(id);
    let reply: readonly [string, string?, number?];
    try {
      reply = await this.#write(spot, base, { changes, ttlMs });
    } catch (error) {
      if (!this.#anonymous || !(error instanceof SharedTierError)) throw error;
      this.#tell('dropped');
      return 'dropped';
    }
    const [answer, version = '', merged] = reply;
    if (answer === 'size') throw tooLarge(this.#maxBytes);
    if (answer !== 'ok') {
      const refused = answer === 'gone' ? 'gone' : 'destroyed';
      this.#tell(refused);
      return refused;
    }
    this.#touches.note(spot.key, ttlMs);
    if (handle !== undefined) {
      handle.base = { version: merged === 1 ? mergedVersion : version, fields: wanted };
    }
    if (merged !== 1) return 'saved';
    this.#tell('merged');
    return 'merged';
  }

  /**
   * Somebody used the session: it lives on, if its expiry is 'rolling'. No round trip when this process touched or
   * saved it within `touchEveryMs`, else one. Never brings anything back. Resolves also when there is no such session.
   */
  async touch(id: string, ttlMs: number = this.ttlMs): Promise<void> {
    if (!this.rolling) return;
    const { partition, key } = this.#spot(id);
    if (this.#touches.recent(key, ttlMs)) return;
    this.#touches.note(key, ttlMs);
    try {
      const args = [this.#lifetime(ttlMs)];
      await this.#keys.run(partition, touchScript, { keys: [key], args });
    } catch (error) {
      this.#touches.forget(key);
      if (!this.#anonymous || !(error instanceof SharedTierError)) throw error;
      this.#tell('dropped');
    }
  }

  /**
   * Ends the session everywhere, whoever is using it. One round trip. Safe to repeat. Rejects with SharedTierError
   * under any `whenDown`: then it may be alive.
   */
  async destroy(id: string): Promise<void> {
    const { partition, key } = this.#spot(id);
    await this.#destroyKey({ partition, key });
  }

  // --- all of them; for administration, not for requests --------------------------------------------------

  /**
   * What every session holds, in no order. Their ids aren't known here: only hashes are stored. Looks at every key
   * of the engine that may be one, in steps of some 200, and reads each session.
   */
  async *all(): AsyncGenerator<SessionData> {
    for await (const { partition, key } of this.#spots()) {
      const flat = (await this.#keys.send(partition, ['HGETALL', key])) as FlatFields;
      const found = decodeFields(flat);
      if (found !== undefined) yield found.data;
    }
  }

  /** At the cost of `all` without the reading. */
  async count(): Promise<number> {
    let count = 0;
    for await (const _ of this.#spots()) count += 1;
    return count;
  }

  /** Destroys every session that exists while it runs. At the cost of `all`. */
  async clear(): Promise<void> {
    for await (const spot of this.#spots()) await this.#destroyKey(spot);
  }

  async *#spots(): AsyncGenerator<Spot> {
    for (const partition of this.#keys.partitions) {
      const pattern = this.#keys.pattern(partition);
      const seen = new Set<string>();
      let cursor = '0';
      do {
        const call = { keys: [partition.keys.state], args: [cursor, pattern, String(pageSize)] };
        const [next = '0', ...keys] = (await this.#keys.run(partition, pageScript, call)) as string[];
        cursor = next;
        for (const key of keys) {
          if (seen.has(key)) continue;
          seen.add(key);
          yield { partition, key };
        }
      } while (cursor !== '0');
    }
  }

  async #destroyKey({ partition, key }: Spot): Promise<void> {
    this.#touches.forget(key);
    const args = [String(this.#longestRequestMs)];
    await this.#keys.run(partition, destroyScript, { keys: [key], args });
  }

  async #write(
    { partition, key }: Spot,
    base: SessionBase | undefined,
    { changes, ttlMs }: { readonly changes: Changes; readonly ttlMs: number },
  ): Promise<readonly [string, string?, number?]> {
    const { removed, written } = changes;
    const expiry = base === undefined || this.rolling ? this.#lifetime(ttlMs) : '0';
    const args = [base?.version ?? '', expiry, String(this.#maxBytes), String(removed.length)];
    const reply = await this.#keys.run(partition, saveScript, {
      keys: [key],
      args: [...args, ...removed, ...written],
    });
    return reply as readonly [string, string?, number?];
  }

  #lifetime(ttlMs: number): string {
    return String(Math.max(1, Math.ceil(ttlMs + this.#touchEveryMs)));
  }

  /**
   * Only a hash of the id is stored: a dump, a replica, a slow log or a look at the engine lends nobody's session.
   * Ids are random, so a plain hash can't be turned back.
   */
  #spot(id: string): Spot {
    if (typeof id !== 'string' || id.length === 0 || id.length > maxIdLength) {
      throw new CacheConfigError(`The id of a session is a text of 1 to ${maxIdLength} characters.`);
    }
    return this.#keys.spot(hash('sha256', id, 'base64url'));
  }

  #tell(event: 'merged' | 'destroyed' | 'gone' | 'anonymous' | 'dropped'): void {
    tell(this.#cache, 'session', () => ({ sessions: this.name, event }));
  }
}

function checkOptions(options: SessionsOptions): {
  readonly name: string;
  readonly ttlMs: number;
  readonly touchEveryMs: number;
  readonly longestRequestMs: number;
  readonly maxBytes: number;
  readonly patienceMs: number;
} {
  const refuse = (message: string): never => {
    throw new CacheConfigError(`Sessions: ${message}`);
  };
  const atLeast = (option: string, value: number, least: number): number =>
    Number.isFinite(value) && value >= least
      ? Math.ceil(value)
      : refuse(`\`${option}\` must be a number of at least ${least}, not ${String(value)}.`);
  const { name = 'web', ttlMs = 86_400_000, longestRequestMs = 3_600_000, maxBytes = 65_536 } = options;
  if (!namePattern.test(name)) refuse('`name` takes 1 to 64 letters, digits, "_", "." and "-".');
  if (!['rolling', 'fixed', undefined].includes(options.expiry)) {
    refuse("`expiry` is 'rolling' or 'fixed'.");
  }
  if (!['fail', 'anonymous', undefined].includes(options.whenDown)) {
    refuse("`whenDown` is 'fail' or 'anonymous'.");
  }
  return {
    name,
    ttlMs: atLeast('ttlMs', ttlMs, 1),
    touchEveryMs: atLeast('touchEveryMs', options.touchEveryMs ?? Math.min(60_000, ttlMs / 10), 0),
    longestRequestMs: atLeast('longestRequestMs', longestRequestMs, 1),
    maxBytes: atLeast('maxBytes', maxBytes, 1),
    patienceMs: atLeast('patienceMs', options.patienceMs ?? 500, 0),
  };
}
