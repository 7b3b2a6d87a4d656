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
import { hash, randomBytes } from 'node:crypto';
import type { Cache } from '../cache.ts';
import { CacheConfigError, SharedTierError } from '../errors.ts';
import { Keyspace, type Spot } from '../far/keyspace.ts';
import { tell } from '../telemetry.ts';
import { destroyScript, pageScript, saveScript, touchScript } from './scripts.ts';
import {
  checkSize,
  mergeData,
  parseData,
  type SessionBase,
  type SessionData,
  splitStored,
  stringifyData,
} from './stored-session.ts';
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

/** What a request knew of its session when it last loaded or saved it. Opaque; a new one is of a new session. */
export class SessionHandle {
  /** @internal */
  base: SessionBase | undefined;

  constructor(base?: SessionBase) {
    this.base = base;
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
/** Each save that comes between costs another round trip, and had to come between in that time. */
const maxAttempts = 64;
/** Spots that are remembered: hashing an id costs more than finding it. */
const maxSpots = 4_096;

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
  readonly #spots = new Map<string, Spot>();
  readonly #saving = new Map<string, Promise<unknown>>();
  readonly #process = randomBytes(9).toString('base64url').slice(0, 6);
  #saves = 0;

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
   * The session, or undefined: never saved, expired, destroyed, lost, or no id at all. One round trip. Rejects with
   * SharedTierError, unless `whenDown` is 'anonymous'.
   */
  async load(id: string): Promise<LoadedSession | undefined> {
    // Ids come from clients.
    if (!isId(id)) return undefined;
    const { partition, key } = this.#spot(id);
    let text: string | null;
    try {
      text = (await this.#keys.send(partition, ['GET', key])) as string | null;
    } catch (error) {
      if (this.#anonymous && error instanceof SharedTierError) {
        this.#tell('anonymous');
        return undefined;
      }
      throw error;
    }
    const found = splitStored(text);
    if (found === undefined) return undefined;
    const { token, json } = found;
    return { data: parseData(json), handle: new SessionHandle({ token, stored: json, known: json }) };
  }

  /**
   * Writes what changed. One round trip, and one more for each other save that came between; with nothing to write
   * at most one, see `touch`. Afterwards the handle knows what was saved. Rejects with SessionValueError, and with
   * SharedTierError when the shared tier is down.
   */
  async save(
    id: string,
    data: Readonly<SessionData>,
    { handle, ttlMs = this.ttlMs }: SaveOptions = {},
  ): Promise<SaveOutcome> {
    const wanted = stringifyData(data, this.#maxBytes);
    if (handle?.base?.known === wanted) {
      await this.touch(id, ttlMs);
      return 'unchanged';
    }
    const spot = this.#spot(id);
    // Saves of one process don't get in each other's way.
    for (let other = this.#saving.get(spot.key); other !== undefined; other = this.#saving.get(spot.key)) {
      await other.catch(() => {});
    }
    const writing = this.#write(spot, handle ?? new SessionHandle(), { wanted, ttlMs });
    this.#saving.set(spot.key, writing);
    let outcome: Awaited<typeof writing> | 'dropped';
    try {
      outcome = await writing;
    } catch (error) {
      if (!this.#anonymous || !(error instanceof SharedTierError)) throw error;
      outcome = 'dropped';
    } finally {
      this.#saving.delete(spot.key);
    }
    if (outcome === 'saved' || outcome === 'merged') this.#touches.note(spot.key, ttlMs);
    if (outcome !== 'saved') this.#tell(outcome);
    return outcome;
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
    for await (const { partition, key } of this.#stored()) {
      const found = splitStored((await this.#keys.send(partition, ['GET', key])) as string | null);
      if (found !== undefined) yield parseData(found.json);
    }
  }

  /** At the cost of `all` without the reading. */
  async count(): Promise<number> {
    let count = 0;
    for await (const _ of this.#stored()) count += 1;
    return count;
  }

  /** Destroys every session that exists while it runs. At the cost of `all`. */
  async clear(): Promise<void> {
    for await (const spot of this.#stored()) await this.#destroyKey(spot);
  }

  async *#stored(): AsyncGenerator<Spot> {
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
    handle: SessionHandle,
    { wanted, ttlMs }: { readonly wanted: string; readonly ttlMs: number },
  ): Promise<'saved' | 'merged' | 'destroyed' | 'gone'> {
    const expiry = handle.base === undefined || this.rolling ? this.#lifetime(ttlMs) : '0';
    let { base } = handle;
    let merged = false;
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const alone = base === undefined || base.stored === base.known;
      const json = alone ? wanted : mergeData(base!.known, wanted, base!.stored);
      if (!alone) checkSize(json, this.#maxBytes);
      const token = this.#nextToken();
      const args = [base?.token ?? '', token + json, expiry];
      const answer = await this.#keys.run(partition, saveScript, { keys: [key], args });
      if (answer === 'ok') {
        handle.base = { token, stored: json, known: wanted };
        return merged ? 'merged' : 'saved';
      }
      if (!Array.isArray(answer)) return answer === 'gone' ? 'gone' : 'destroyed';
      const found = splitStored(String(answer[0]))!;
      base = { token: found.token, stored: found.json, known: base!.known };
      merged = true;
    }
    throw new SharedTierError(`A session was saved by others ${maxAttempts} times while one save tried.`);
  }

  /** Twelve characters: 36 random bits of this process, and a number that repeats after two thousand million saves. */
  #nextToken(): string {
    this.#saves = (this.#saves + 1) % 36 ** 6;
    return this.#process + this.#saves.toString(36).padStart(6, '0');
  }

  #lifetime(ttlMs: number): string {
    return String(Math.max(1, Math.ceil(ttlMs + this.#touchEveryMs)));
  }

  /**
   * Only a hash of the id is stored: a dump, a replica, a slow log or a look at the engine lends nobody's session.
   * Ids are random, so a plain hash can't be turned back.
   */
  #spot(id: string): Spot {
    if (!isId(id)) {
      throw new CacheConfigError(`The id of a session is a text of 1 to ${maxIdLength} characters.`);
    }
    let spot = this.#spots.get(id);
    if (spot === undefined) {
      if (this.#spots.size >= maxSpots) this.#spots.clear();
      spot = this.#keys.spot(hash('sha256', id, 'base64url'));
      this.#spots.set(id, spot);
    }
    return spot;
  }

  #tell(event: 'merged' | 'destroyed' | 'gone' | 'anonymous' | 'dropped'): void {
    tell(this.#cache, 'session', () => ({ sessions: this.name, event }));
  }
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && id.length > 0 && id.length <= maxIdLength;
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
