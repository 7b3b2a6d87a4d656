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
 * A value past `freshMs`, and one that soon will be, is served at once and loaded anew behind the reader's back:
 * it is proven like any other, only old. Nothing here throws because of the shared tier; only the loader's errors
 * and its limits reach the caller.
 */
import type { Clock } from './clock.ts';
import { decodeBody, encodeEntry, positionOf } from './entry.ts';
import { LoadFailedElsewhereError } from './errors.ts';
import type { Acquired, FillAnswer, NewEntry, Token } from './far/fill-protocol.ts';
import type { PartitionState } from './far/partition-state.ts';
import type { Proof } from './far/read-batcher.ts';
import { voidedThrough } from './far/voids.ts';
import type { Listening } from './far/wakeups.ts';
import { Flight, type Flights } from './flight.ts';
import { type LifetimeOptions, lifetimeOf, shouldRefreshEarly } from './lifetime.ts';
import type { NearValues } from './near/near-values.ts';
import type { FillSteps, SharedTier } from './shared-tier.ts';
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
  readonly voidHash: string;
  readonly tier: SharedTier;
  readonly flights: Flights;
  readonly near: NearValues;
  readonly clock: Clock;
  readonly random: () => number;
  readonly boundMs: number;
  readonly hardMs: number;
  readonly softMs: number;
  readonly servesLastKnown: boolean;
  readonly schema: StandardSchemaV1<V> | undefined;
  readonly lifetime: LifetimeOptions;
  readonly maxValueLength: number;
  readonly compressAboveLength: number;
  /** Only a fresh beat makes a far entry usable. */
  readonly proven: boolean;
  readonly stats: DefinitionStats;
  /** How long its loads take, on average; 0 while unknown. */
  readonly averageLoadMs: () => number;
  readonly nextOwner: () => string;
  /** Creates the partition's state when nothing else does (no feed). */
  readonly ensureState: (partition: PartitionState) => Promise<void>;
  /** Where no feed publishes a watermark: one taken from the database, before the load; else undefined. */
  readonly watermark: (() => Promise<string>) | undefined;
  readonly load: (flight: Flight<V>, onStart: (atMs: number) => void) => Promise<Loaded<V>>;
  readonly tagsOf: (value: V, flight: Flight<V>) => readonly string[];
}

type Outcome<V> = { readonly done: true; readonly value: V | null } | { readonly done: false };
const again = { done: false } as const;

const maxRefusals = 3;

interface Progress {
  refusals: number;
  regressions: number;
  ensured: boolean;
  readonly beganAtMs: number;
  invisibleSinceMs: number | undefined;
  listening: Listening | undefined;
}

export class ReadPath<V> {
  readonly #o: ReadPathOptions<V>;
  readonly #protocol: FillSteps;
  readonly #refreshing = new Set<string>();

  constructor(options: ReadPathOptions<V>) {
    this.#o = options;
    this.#protocol = options.tier.fills(options.nextOwner, options.voidHash);
  }

  /** Ends the flight. */
  read(flight: Flight<V>): Promise<V | null> {
    const reading = this.#read(flight);
    return this.#o.servesLastKnown ? this.#orLastKnown(flight, reading) : reading;
  }

  /** The value if the shared tier has one that may be served. Never rejects. */
  async peek(flight: Flight<V>): Promise<V | null | undefined> {
    const { partition, fullKey } = flight;
    if (!partition.usable) return undefined;
    // No invalidation finds this flight, so it must not fill the near tier.
    flight.stale = true;
    try {
      const { text, proof } = await this.#o.tier.reads.readPrimary(partition, fullKey);
      return this.#hit(flight, text, proof)?.value;
    } catch {
      return undefined;
    }
  }

  /** Written with callbacks: a hit costs one promise. */
  #read(flight: Flight<V>): Promise<V | null> {
    const { partition } = flight;
    const { flights, tier } = this.#o;
    return new Promise((resolve, reject) => {
      const goOn = (going: Promise<V | null>): void => {
        going.then(
          (value) => {
            flights.end(flight);
            resolve(value);
          },
          (error: unknown) => {
            flights.end(flight);
            reject(error instanceof LoaderFailure ? error.cause : error);
          },
        );
      };
      if (!partition.usable) {
        goOn(this.#direct(flight, true));
        return;
      }
      flight.nearSession = partition.nearSessionNow();
      tier.reads.read(partition, flight.fullKey, (text, proof) => {
        if (proof === undefined) {
          goOn(this.#direct(flight, true));
          return;
        }
        const hit = this.#hit(flight, text, proof);
        if (hit === undefined) {
          goOn(this.#rounds(flight, proof));
        } else {
          flights.end(flight);
          resolve(hit.value);
        }
      });
    });
  }

  async #rounds(flight: Flight<V>, first: Proof): Promise<V | null> {
    const { partition, fullKey } = flight;
    const progress: Progress = {
      refusals: 0,
      regressions: 0,
      ensured: false,
      beganAtMs: this.#o.clock.nowMs(),
      invisibleSinceMs: undefined,
      listening: undefined,
    };
    try {
      let proof = first;
      for (;;) {
        let text: string | null;
        try {
          const outcome = await this.#miss(flight, proof, progress);
          if (outcome.done) return outcome.value;
          if (!partition.usable) return await this.#direct(flight, true);
          flight.nearSession = partition.nearSessionNow();
          ({ text, proof } = await this.#o.tier.reads.readPrimary(partition, fullKey));
        } catch (error) {
          if (error instanceof LoaderFailure || error instanceof LoadFailedElsewhereError) throw error;
          return await this.#direct(flight, true);
        }
        const hit = this.#hit(flight, text, proof);
        if (hit !== undefined) return hit.value;
      }
    } finally {
      progress.listening?.close();
    }
  }

  /** The value, if there is one that may be served. */
  #hit(flight: Flight<V>, text: string | null, proof: Proof): { readonly value: V | null } | undefined {
    const { proven, stats } = this.#o;
    if (text === null) return undefined;
    const { verdict } = proof;
    // Without a fresh beat nothing says how far behind a replica is.
    if (verdict !== 'fresh' && (proven || proof.replica || verdict !== 'stale')) return undefined;
    if (flight.least !== undefined && proof.applied < flight.least) return undefined;
    if (proof.replica) flight.nearSession = -1;
    const hit = this.#accept(flight, text, proof);
    if (hit !== undefined) stats.farHits += 1;
    // It is of this epoch and yet of no use: the next look must not find it again.
    else if (text.startsWith(proof.epoch, 4)) flight.entryUnusable = true;
    return hit;
  }

  async #miss(flight: Flight<V>, { verdict }: Proof, progress: Progress): Promise<Outcome<V>> {
    const { proven, stats, ensureState } = this.#o;
    const { partition } = flight;
    if (verdict === 'missing' && !proven && !progress.ensured) {
      progress.ensured = true;
      await ensureState(partition);
      return again;
    }
    // The other connection may have brought a newer beat while this read was under way: look once more. And so
    // when the reply is a replica's, which may be behind.
    const doubtful = verdict === 'regressed' || (verdict !== 'fresh' && this.#o.tier.readsReplicas);
    if (doubtful && progress.regressions++ < 1) return again;
    if (verdict !== 'fresh' && (proven || verdict !== 'stale')) {
      return { done: true, value: await this.#direct(flight, true) };
    }
    // The shared tier hasn't heard of the reader's own change yet.
    if (flight.least !== undefined && partition.applied < flight.least) {
      return { done: true, value: await this.#direct(flight, false) };
    }
    stats.misses += 1;
    return this.#acquire(flight, progress);
  }

  async #acquire(flight: Flight<V>, progress: Progress): Promise<Outcome<V>> {
    const { clock, stats, boundMs, hardMs, random } = this.#o;
    const { partition } = flight;
    progress.listening ??= partition.wakeups.listen(flight.fullKey);
    flight.nearSession = partition.nearSessionNow();
    const acquired = await this.#token(flight);
    const now = clock.nowMs();
    switch (acquired.kind) {
      case 'value': {
        // Somebody filled it meanwhile; it is judged like any other reply.
        stats.misses -= 1;
        const hit = this.#hit(flight, acquired.text, this.#o.tier.reads.judge(partition, acquired.beat));
        return hit === undefined ? again : { done: true, value: hit.value };
      }
      case 'invisible': {
        progress.invisibleSinceMs ??= now;
        const leftMs = boundMs / 5 - (now - progress.invisibleSinceMs);
        if (leftMs <= 0) return { done: true, value: await this.#direct(flight, false) };
        stats.waits.visibility += 1;
        // Where this process takes the watermark itself nobody tells it when to ask again.
        const waitMs = this.#o.watermark === undefined ? leftMs : Math.min(leftMs, 5);
        await progress.listening.visibility(partition.patienceMs(waitMs));
        return again;
      }
      case 'busy': {
        if (now - progress.beganAtMs >= hardMs) {
          return { done: true, value: await this.#direct(flight, false) };
        }
        stats.waits.lease += 1;
        const waitMs = partition.patienceMs(80 + 40 * random());
        const failure = await progress.listening.keyChange(waitMs, acquired.holder);
        if (failure === undefined) return again;
        throw new LoadFailedElsewhereError(`Another process failed to load ${flight.fullKey}: ${failure}`);
      }
      case 'lease':
        if (progress.refusals === maxRefusals) {
          this.#protocol.release(flight, acquired.token);
          return { done: true, value: await this.#direct(flight, false) };
        }
        progress.refusals += 1;
        return this.#loadAndFill(flight, acquired.token);
      case 'none':
        return { done: true, value: await this.#direct(flight, true) };
    }
  }

  async #token(flight: Flight<V>): Promise<Acquired> {
    const watermark = (await this.#o.watermark?.()) ?? '';
    return this.#protocol.acquire(flight, { ignorePresent: flight.entryUnusable, watermark });
  }

  /** Not done: the fill was refused. Rejects with LoaderFailure. */
  async #loadAndFill(flight: Flight<V>, token: Token): Promise<Outcome<V>> {
    const { stats, cache, definition, maxValueLength, near } = this.#o;
    const { key } = flight;
    const letGo = this.#protocol.hold(flight, token);
    let loaded: Loaded<V>;
    let entry: NewEntry & { readonly freshForMs: number };
    try {
      loaded = await this.#load(flight);
      entry = this.#entry(flight, token, loaded);
    } catch (error) {
      this.#protocol.release(flight, token, error instanceof LoaderFailure ? error.cause : error);
      throw error;
    } finally {
      letGo();
    }
    const length = loaded.payload?.length ?? 0;
    if (length > maxValueLength) {
      stats.oversized += 1;
      tell(cache, 'oversized', () => ({ definition, key, bytes: length }));
      this.#protocol.release(flight, token);
      return { done: true, value: loaded.value };
    }
    flight.nearSession = flight.partition.nearSessionNow();
    let reason: FillAnswer;
    try {
      reason = await this.#protocol.fill(flight, token, entry);
    } catch {
      // Nobody knows whether it was kept. The value itself is as good as a direct load's.
      this.#o.near.keepSelfProven(flight, loaded, loaded.startedAtMs);
      return { done: true, value: loaded.value };
    }
    if (reason === 'ok') {
      near.keep(flight, loaded, entry.freshForMs);
      return { done: true, value: loaded.value };
    }
    const refused = reason;
    stats.refusedFills[refused] += 1;
    tell(cache, 'refused', () => ({ definition, key, reason: refused }));
    return again;
  }

  /** Rejects with LoaderFailure when the definition's `tags` throws. */
  #entry(flight: Flight<V>, token: Token, loaded: Loaded<V>): NewEntry & { readonly freshForMs: number } {
    const { clock, lifetime, random, compressAboveLength, maxValueLength } = this.#o;
    const { freshForMs, keepForMs } = lifetimeOf(lifetime, loaded.payload === null, random());
    const engineNow = flight.partition.clock.engineNowMs(clock.nowMs());
    const filledAtMs = Number.isNaN(engineNow) ? 0 : engineNow;
    const header = { epoch: token.epoch, position: token.watermark, filledAtMs };
    const freshUntilMs = filledAtMs + freshForMs;
    const kept = (loaded.payload?.length ?? 0) <= maxValueLength;
    const text = kept
      ? encodeEntry({ ...header, freshUntilMs, payload: loaded.payload }, compressAboveLength)
      : '';
    let tags: readonly string[];
    try {
      tags = loaded.value === null ? [] : this.#o.tagsOf(loaded.value, flight);
    } catch (error) {
      throw new LoaderFailure(error);
    }
    return { text, keepForMs, freshForMs, tags };
  }

  /** Loads without offering the result to the shared tier. Rejects with LoaderFailure. */
  async #direct(flight: Flight<V>, keepNear: boolean): Promise<V | null> {
    this.#o.stats.directLoads += 1;
    const loaded = await this.#load(flight);
    if (keepNear) this.#o.near.keepSelfProven(flight, loaded, loaded.startedAtMs);
    return loaded.value;
  }

  async #load(flight: Flight<V>): Promise<Loaded<V>> {
    try {
      return await this.#o.load(flight, (atMs) => {
        flight.loadStartedAtMs = atMs;
      });
    } catch (error) {
      throw new LoaderFailure(error);
    }
  }

  // --- without waiting ------------------------------------------------------------------------------------

  /** Gives what is known when the read fails, or takes longer than `softMs`; the read goes on. */
  async #orLastKnown(flight: Flight<V>, reading: Promise<V | null>): Promise<V | null> {
    const { softMs, stats, cache, definition } = this.#o;
    const fallback = (cause: unknown): { readonly value: V | null } | undefined => {
      const known = this.#o.near.lastKnown(flight.key);
      if (known === undefined) return undefined;
      stats.lastKnownServed += 1;
      tell(cache, 'lastKnown', () => ({ definition, key: flight.key, cause }));
      return { value: known.value as V | null };
    };
    let timer: NodeJS.Timeout | undefined;
    const slow = new Promise<typeof tooSlow>((resolve) => {
      if (softMs !== Number.POSITIVE_INFINITY) timer = setTimeout(resolve, softMs, tooSlow);
    });
    try {
      const first = await Promise.race([reading, slow]);
      if (first !== tooSlow) return first;
      const known = fallback(new Error(`No answer within ${softMs} ms.`));
      if (known === undefined) return await reading;
      reading.catch(() => {});
      return known.value;
    } catch (error) {
      const known = fallback(error);
      if (known === undefined) throw error;
      return known.value;
    } finally {
      clearTimeout(timer);
    }
  }

  /** One process loads the value anew; nobody waits for it, and its failure changes nothing. */
  #refresh(reader: Flight<V>): void {
    const { fullKey } = reader;
    if (this.#refreshing.has(fullKey)) return;
    this.#refreshing.add(fullKey);
    this.#o.stats.refreshes += 1;
    const flight = new Flight<V>(reader);
    flight.entryUnusable = true;
    // No invalidation finds this flight, so it must not fill the near tier.
    flight.stale = true;
    void (async () => {
      try {
        const acquired = await this.#token(flight);
        if (acquired.kind === 'lease') await this.#loadAndFill(flight, acquired.token);
      } catch {
        // The next reader tries again, until the value ends.
      } finally {
        this.#refreshing.delete(fullKey);
      }
    })();
  }

  // --- what came from the shared tier ---------------------------------------------------------------------

  #accept(flight: Flight<V>, text: string, proof: Proof): { readonly value: V | null } | undefined {
    if (proof.voids !== '' && positionOf(text) < voidedThrough(proof.voids, this.#o.voidHash))
      return undefined;
    const entry = decodeBody(text, proof.epoch);
    if (entry === undefined) {
      // Of an earlier epoch: an ordinary miss. Of this epoch and yet no entry: somebody else's writing.
      if (!text.startsWith('LC1')) this.#complain(flight, 'Not an entry of this format.');
      return undefined;
    }
    const { near, random, stats, averageLoadMs } = this.#o;
    const same = near.ofText(flight.key, entry.payload);
    const checked: Checked<V | null> =
      same === undefined ? this.#parse(entry.payload) : { ok: true, value: same.value as V };
    if (!checked.ok) {
      this.#complain(flight, checked.reason);
      return undefined;
    }
    const freshForMs = entry.freshUntilMs - proof.engineNowMs;
    if (freshForMs <= 0) {
      stats.staleHits += 1;
      this.#refresh(flight);
    } else if (shouldRefreshEarly(freshForMs, averageLoadMs(), 1 - random())) {
      this.#refresh(flight);
    }
    near.keep(flight, { value: checked.value, payload: entry.payload }, freshForMs);
    return checked;
  }

  #parse(payload: string | null): Checked<V | null> {
    if (payload === null) return { ok: true, value: null };
    try {
      return checkValue(this.#o.schema, JSON.parse(payload));
    } catch {
      return { ok: false, reason: 'Not JSON.' };
    }
  }

  #complain(flight: Flight<V>, reason: string): void {
    const { stats, cache, definition } = this.#o;
    stats.invalidEntries += 1;
    tell(cache, 'invalidEntry', () => ({ definition, key: flight.key, reason }));
  }
}

const tooSlow = Symbol('too slow');

/** Tells the loader's own errors from the shared tier's. */
class LoaderFailure extends Error {
  constructor(cause: unknown) {
    super('The loader failed.', { cause });
  }
}
