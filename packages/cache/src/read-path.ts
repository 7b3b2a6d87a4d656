/**
 * From a miss in the near tier to a value.
 *
 *   1. MGET of the entry and the partition's beat. A fresh beat makes the entry usable.
 *   2. Missing: one script gives the entry after all, or a token with the lease to load, or says to wait: for
 *      another process's load, or until a change that is already applied here becomes visible in the database.
 *      (Loading in that gap would read the old row; the fill would be refused, and every process would try.)
 *   3. Load, fill. A refused fill means that something changed meanwhile: the caller reads again and so gets
 *      the newer value; after a few rounds it gets what it loads itself, begun after the last refusal.
 *   4. The shared tier down, or its beat too old: load directly, within the process's limits, and keep the
 *      result near for half of the bound: it is that recent by itself.
 *
 * Nothing here throws because of the shared tier; only the loader's errors and its limits reach the caller.
 */
import type { Clock } from './clock.ts';
import { decodeEntry, encodeEntry } from './entry.ts';
import type { FarTier } from './far/far-tier.ts';
import { type FillAnswer, FillProtocol, type NewEntry, type Place, type Token } from './far/fill-protocol.ts';
import { valueKey } from './far/partition.ts';
import type { PartitionState } from './far/partition-state.ts';
import type { Listening } from './far/wakeups.ts';
import type { Flight, Flights } from './flight.ts';
import { freezeJson, type NearEntry, type NearTier } from './near/near-tier.ts';
import { type Checked, checkValue, type StandardSchemaV1 } from './standard-schema.ts';
import type { DefinitionStats } from './stats.ts';
import { tell } from './telemetry.ts';

/** What a loader run gave. The value went through JSON, as every later reader will get it. */
export interface Loaded<V> {
  readonly value: V | null;
  readonly payload: string | null;
  readonly startedAtMs: number;
}

export interface ReadPathOptions<V> {
  readonly cache: string;
  readonly definition: string;
  readonly far: FarTier;
  readonly flights: Flights;
  readonly near: NearTier | undefined;
  readonly nearMap: Map<string, NearEntry>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly boundMs: number;
  readonly loadTimeoutMs: number;
  readonly schema: StandardSchemaV1<V> | undefined;
  readonly freshMs: number;
  readonly absentMs: number;
  readonly jitter: number;
  /** True: the feed watches it, so only a fresh beat makes a far entry usable. */
  readonly watched: boolean;
  readonly stats: DefinitionStats;
  readonly nextOwner: () => string;
  /** Creates the partition's state when nothing else does (no feed). */
  readonly ensureState: (partition: PartitionState) => Promise<void>;
}

/** One key to read, and how to load it. */
export interface ReadRequest<V> {
  readonly flight: Flight<V>;
  readonly place: Place;
  readonly key: string;
  readonly load: (onStart: (atMs: number) => void) => Promise<Loaded<V>>;
}

/** Entry and beat, as one MGET gave them. */
export type FarReply = readonly [entry: string | null, beat: string | null];

type Outcome<V> = { readonly done: true; readonly value: V | null } | { readonly done: false };
const again = { done: false } as const;

const maxRefusals = 3;

interface Progress {
  refusals: number;
  regressions: number;
  ensured: boolean;
  ignorePresent: boolean;
  readonly beganAtMs: number;
  invisibleSinceMs: number | undefined;
  listening: Listening | undefined;
}

export class ReadPath<V> {
  readonly #o: ReadPathOptions<V>;
  readonly #protocol: FillProtocol;

  constructor(options: ReadPathOptions<V>) {
    this.#o = options;
    this.#protocol = new FillProtocol(options.far, options.nextOwner);
  }

  /** @param first the reply of a read that was already made, in a batch. Ends the flight. */
  async read(request: ReadRequest<V>, first?: Promise<FarReply | undefined>): Promise<V | null> {
    const progress: Progress = {
      refusals: 0,
      regressions: 0,
      ensured: false,
      ignorePresent: false,
      beganAtMs: this.#o.clock.nowMs(),
      invisibleSinceMs: undefined,
      listening: undefined,
    };
    try {
      return await this.#rounds(request, progress, first);
    } catch (error) {
      throw error instanceof LoaderFailure ? error.cause : error;
    } finally {
      progress.listening?.close();
      this.#o.flights.end(request.flight);
    }
  }

  async #rounds(
    request: ReadRequest<V>,
    progress: Progress,
    first: Promise<FarReply | undefined> | undefined,
  ): Promise<V | null> {
    const { far } = this.#o;
    const { flight } = request;
    const { partition } = flight;
    const keys = [valueKey(partition.keys, flight.fullKey), partition.keys.beat];
    let reply = first === undefined ? undefined : await first;
    for (;;) {
      if (!partition.usable) return this.#direct(request, true);
      try {
        if (reply === undefined) {
          flight.nearSession = partition.nearSessionNow();
          reply = (await far.read(partition, keys)) as unknown as FarReply;
        }
        const hit = this.#hit(request, reply, progress);
        if (hit !== undefined) return hit.value;
        const outcome = await this.#miss(request, reply, progress);
        if (outcome.done) return outcome.value;
      } catch (error) {
        if (error instanceof LoaderFailure) throw error;
        return this.#direct(request, true);
      }
      reply = undefined;
    }
  }

  /** The value, if the reply holds one that may be served. */
  #hit(
    request: ReadRequest<V>,
    [text, beat]: FarReply,
    progress: Progress,
  ): { readonly value: V | null } | undefined {
    const { watched, stats, clock } = this.#o;
    if (text === null || beat === null) return undefined;
    const verdict = request.flight.partition.judge(beat, clock.nowMs());
    if (verdict !== 'fresh' && (watched || verdict !== 'stale')) return undefined;
    const hit = this.#accept(request, text, beat);
    if (hit !== undefined) stats.farHits += 1;
    else if (text.startsWith(beat.slice(0, 12), 4)) progress.ignorePresent = true;
    return hit;
  }

  async #miss(request: ReadRequest<V>, reply: FarReply, progress: Progress): Promise<Outcome<V>> {
    const { watched, stats, clock, ensureState } = this.#o;
    const { partition } = request.flight;
    const verdict = partition.judge(reply[1], clock.nowMs());
    if (verdict === 'missing' && !watched && !progress.ensured) {
      progress.ensured = true;
      await ensureState(partition);
      return again;
    }
    // The other connection may have brought a newer beat while this read was under way: look once more.
    if (verdict === 'regressed' && progress.regressions++ < 1) return again;
    if (verdict !== 'fresh' && (watched || verdict !== 'stale')) {
      return { done: true, value: await this.#direct(request, true) };
    }
    stats.misses += 1;
    return this.#acquire(request, progress);
  }

  async #acquire(request: ReadRequest<V>, progress: Progress): Promise<Outcome<V>> {
    const { clock, stats, boundMs, loadTimeoutMs, random } = this.#o;
    const { flight, place } = request;
    const { partition } = flight;
    progress.listening ??= partition.wakeups.listen(flight.fullKey);
    flight.nearSession = partition.nearSessionNow();
    const acquired = await this.#protocol.acquire(place, progress.ignorePresent);
    const now = clock.nowMs();
    switch (acquired.kind) {
      case 'value': {
        // Somebody filled it meanwhile; it is judged like any other reply.
        stats.misses -= 1;
        const hit = this.#hit(request, [acquired.text, acquired.beat], progress);
        return hit === undefined ? again : { done: true, value: hit.value };
      }
      case 'invisible': {
        progress.invisibleSinceMs ??= now;
        const leftMs = boundMs / 5 - (now - progress.invisibleSinceMs);
        if (leftMs <= 0) return { done: true, value: await this.#direct(request, false) };
        stats.waits.visibility += 1;
        await progress.listening.visibility(partition.patienceMs(leftMs));
        return again;
      }
      case 'busy':
        if (now - progress.beganAtMs >= loadTimeoutMs) {
          return { done: true, value: await this.#direct(request, false) };
        }
        stats.waits.lease += 1;
        await progress.listening.keyChange(partition.patienceMs(80 + 40 * random()));
        return again;
      case 'lease':
        if (progress.refusals < maxRefusals) return this.#loadAndFill(request, progress, acquired.token);
        this.#protocol.release(place, acquired.token);
        return { done: true, value: await this.#direct(request, false) };
      case 'none':
        return { done: true, value: await this.#direct(request, true) };
    }
  }

  async #loadAndFill(request: ReadRequest<V>, progress: Progress, token: Token): Promise<Outcome<V>> {
    const { stats, cache, definition } = this.#o;
    const { flight, place, key } = request;
    const letGo = this.#protocol.hold(place, token);
    let loaded: Loaded<V>;
    try {
      loaded = await this.#load(request);
    } catch (error) {
      this.#protocol.release(place, token);
      throw error;
    } finally {
      letGo();
    }
    flight.nearSession = flight.partition.nearSessionNow();
    const entry = this.#entry(request, token, loaded);
    let answer: FillAnswer;
    try {
      answer = await this.#protocol.fill(place, token, entry);
    } catch {
      // Nobody knows whether it was kept. The value itself is as good as a direct load's.
      this.#keepSelfProven(request, loaded);
      return { done: true, value: loaded.value };
    }
    if (answer === 'ok') {
      this.#keepNear(request, loaded.value, { payload: loaded.payload, freshForMs: entry.freshForMs });
      return { done: true, value: loaded.value };
    }
    const reason = answer;
    stats.refusedFills[reason] += 1;
    tell(cache, 'refused', () => ({ definition, key, reason }));
    progress.refusals += 1;
    return again;
  }

  #entry(request: ReadRequest<V>, token: Token, loaded: Loaded<V>): NewEntry {
    const { clock, freshMs, absentMs, jitter, random } = this.#o;
    const lifetimeMs = loaded.payload === null ? absentMs : freshMs;
    const freshForMs = Math.max(1, Math.round(lifetimeMs * (1 - jitter * random())));
    const engineNow = request.flight.partition.clock.engineNowMs(clock.nowMs());
    const filledAtMs = Number.isNaN(engineNow) ? 0 : engineNow;
    const text = encodeEntry({
      epoch: token.epoch,
      position: token.watermark,
      filledAtMs,
      freshUntilMs: filledAtMs + freshForMs,
      payload: loaded.payload,
    });
    return { text, freshForMs };
  }

  /** Loads without offering the result to the shared tier. Rejects with LoaderFailure. */
  async #direct(request: ReadRequest<V>, keepNear: boolean): Promise<V | null> {
    this.#o.stats.directLoads += 1;
    const loaded = await this.#load(request);
    if (keepNear) this.#keepSelfProven(request, loaded);
    return loaded.value;
  }

  async #load(request: ReadRequest<V>): Promise<Loaded<V>> {
    const { flight } = request;
    try {
      return await request.load((atMs) => {
        flight.loadStartedAtMs = atMs;
      });
    } catch (error) {
      throw new LoaderFailure(error);
    }
  }

  #accept(request: ReadRequest<V>, text: string, beat: string): { readonly value: V | null } | undefined {
    const entry = decodeEntry(text, beat.slice(0, 12));
    if (entry === undefined) {
      // Of an earlier epoch: an ordinary miss. Of this epoch and yet no entry: somebody else's writing.
      if (!text.startsWith('LC1')) this.#complain(request, 'Not an entry of this format.');
      return undefined;
    }
    const checked = this.#sameAsNear(request.key, entry.payload) ?? this.#parse(entry.payload);
    if (!checked.ok) {
      this.#complain(request, checked.reason);
      return undefined;
    }
    const { clock } = this.#o;
    const engineNow = request.flight.partition.clock.engineNowMs(clock.nowMs());
    this.#keepNear(request, checked.value, {
      payload: entry.payload,
      freshForMs: entry.freshUntilMs - engineNow,
    });
    return checked;
  }

  /**
   * A near entry without proof still holds its value. When the shared tier has the very same text, the same object
   * is given again: after a lost subscription nothing is parsed anew, and what callers derived from it stays true.
   */
  #sameAsNear(key: string, payload: string | null): Checked<V | null> | undefined {
    const known = this.#o.nearMap.get(key);
    return known === undefined || payload === null || known.payload !== payload
      ? undefined
      : { ok: true, value: known.value as V };
  }

  #parse(payload: string | null): Checked<V | null> {
    if (payload === null) return { ok: true, value: null };
    try {
      return checkValue(this.#o.schema, JSON.parse(payload));
    } catch {
      return { ok: false, reason: 'Not JSON.' };
    }
  }

  #complain(request: ReadRequest<V>, reason: string): void {
    const { stats, cache, definition } = this.#o;
    stats.invalidEntries += 1;
    tell(cache, 'invalidEntry', () => ({ definition, key: request.key, reason }));
  }

  /** Only what no message has overtaken since its far step was sent. */
  #keepNear(
    request: ReadRequest<V>,
    value: V | null,
    { payload, freshForMs }: { readonly payload: string | null; readonly freshForMs: number },
  ): void {
    const { near, nearMap, clock } = this.#o;
    const { flight, key } = request;
    if (near === undefined || flight.stale || flight.nearSession !== flight.partition.nearSession) return;
    if (!(freshForMs > 0)) return;
    near.put({
      map: nearMap,
      key,
      partition: flight.partition,
      value: freezeJson(value),
      payload,
      nearSession: flight.nearSession,
      selfProvenUntilMs: Number.NEGATIVE_INFINITY,
      expiresAtMs: clock.nowMs() + freshForMs,
    });
  }

  /** A value that was read from the database at t holds for the bound after t whatever else is known. */
  #keepSelfProven(request: ReadRequest<V>, loaded: Loaded<V>): void {
    const { near, nearMap, boundMs } = this.#o;
    const { flight, key } = request;
    if (near === undefined || flight.stale) return;
    const until = loaded.startedAtMs + boundMs / 2;
    near.put({
      map: nearMap,
      key,
      partition: flight.partition,
      value: freezeJson(loaded.value),
      payload: loaded.payload,
      nearSession: -1,
      selfProvenUntilMs: until,
      expiresAtMs: until,
    });
  }
}

/** Tells the loader's own errors from the shared tier's. */
class LoaderFailure extends Error {
  constructor(cause: unknown) {
    super('The loader failed.', { cause });
  }
}
