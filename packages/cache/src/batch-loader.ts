/** Runs a definition's loaders: through the gate, and together where the definition can load many at once. */
import type { Clock } from './clock.ts';
import { CacheValueError } from './errors.ts';
import type { LoadGate } from './loads.ts';
import type { Loaded } from './read-path.ts';
import { checkValue, type StandardSchemaV1 } from './standard-schema.ts';
import type { DefinitionStats } from './stats.ts';
import { tell } from './telemetry.ts';

export interface LoadContext {
  /** Aborts after the definition's `timeout.hardMs`. */
  readonly signal: AbortSignal;
}

export interface LoadOneContext<V> extends LoadContext {
  /** The key, as the definition's `key` gave it. */
  readonly key: string;
  /**
   * The value last known to this process, if any, for a loader that can ask "has it changed?". It may be out of
   * date. null: known absent then.
   */
  readonly lastKnown: V | null | undefined;
}

/** null and undefined both mean: there is no such thing. */
export type Load<A, V> = (argument: A, context: LoadOneContext<V>) => Promise<V | null | undefined>;

/** What is missing in the map doesn't exist. */
export type LoadMany<A, V> = (
  args: readonly A[],
  context: LoadContext,
) => Promise<ReadonlyMap<A, V | null | undefined>>;

export interface BatchLoaderOptions<A, V> {
  readonly cache: string;
  readonly definition: string;
  readonly gate: LoadGate;
  readonly clock: Clock;
  readonly load: Load<A, V>;
  readonly loadMany: LoadMany<A, V> | undefined;
  readonly schema: StandardSchemaV1<V> | undefined;
  readonly hardMs: number;
  readonly lastKnown: (key: string) => V | null | undefined;
  readonly stats: DefinitionStats;
}

interface Asked<A, V> {
  readonly argument: A;
  readonly key: string;
  readonly onStart: (atMs: number) => void;
  readonly resolve: (loaded: Loaded<V>) => void;
  readonly reject: (error: unknown) => void;
}

const maxBatch = 100;

/** Weight of the newest load in the average of their times. */
const newestWeight = 0.2;

export class BatchLoader<A, V> {
  /** Of successful loads, a moving average; 0 before the first. */
  averageMs = 0;
  readonly #o: BatchLoaderOptions<A, V>;
  #asked: Asked<A, V>[] = [];

  constructor(options: BatchLoaderOptions<A, V>) {
    this.#o = options;
  }

  /** `onStart` is called when the loader function is: what it reads is at least that recent. */
  load(argument: A, key: string, onStart: (atMs: number) => void): Promise<Loaded<V>> {
    return new Promise((resolve, reject) => {
      const asked = { argument, key, onStart, resolve, reject };
      if (this.#o.loadMany === undefined) {
        void this.#runOne(asked);
        return;
      }
      // Tokens of one round trip arrive together; their loads leave together.
      if (this.#asked.length === 0) setImmediate(() => this.#flush());
      this.#asked.push(asked);
    });
  }

  #flush(): void {
    const asked = this.#asked;
    this.#asked = [];
    if (asked.length === 1) {
      void this.#runOne(asked[0]!);
      return;
    }
    for (let at = 0; at < asked.length; at += maxBatch) void this.#runMany(asked.slice(at, at + maxBatch));
  }

  async #runOne(asked: Asked<A, V>): Promise<void> {
    const { gate, load, lastKnown, hardMs } = this.#o;
    const { key } = asked;
    await this.#run([asked], async (start) => {
      const value = await gate.run((signal) => {
        start();
        return load(asked.argument, { signal, key, lastKnown: lastKnown(key) });
      }, hardMs);
      return () => value;
    });
  }

  async #runMany(batch: readonly Asked<A, V>[]): Promise<void> {
    const { gate, loadMany, hardMs } = this.#o;
    const args = batch.map((asked) => asked.argument);
    await this.#run(batch, async (start) => {
      const values = await gate.run((signal) => {
        start();
        return loadMany!(args, { signal });
      }, hardMs);
      return (argument) => values.get(argument);
    });
  }

  async #run(
    batch: readonly Asked<A, V>[],
    run: (start: () => void) => Promise<(argument: A) => V | null | undefined>,
  ): Promise<void> {
    const { stats, clock, cache, definition } = this.#o;
    let startedAtMs = clock.nowMs();
    const start = (): void => {
      startedAtMs = clock.nowMs();
      stats.loads += batch.length;
      for (const asked of batch) asked.onStart(startedAtMs);
    };
    const report = (asked: Asked<A, V>, outcome: 'value' | 'absent' | 'failed'): void => {
      const durationMs = clock.nowMs() - startedAtMs;
      tell(cache, 'load', () => ({ definition, key: asked.key, durationMs, outcome }));
    };
    let found: (argument: A) => V | null | undefined;
    try {
      found = await run(start);
    } catch (error) {
      stats.loadFailures += batch.length;
      for (const asked of batch) {
        report(asked, 'failed');
        asked.reject(error);
      }
      return;
    }
    const tookMs = clock.nowMs() - startedAtMs;
    this.averageMs += (tookMs - this.averageMs) * (this.averageMs === 0 ? 1 : newestWeight);
    for (const asked of batch) {
      try {
        const loaded = this.#canonical(asked.key, found(asked.argument), startedAtMs);
        report(asked, loaded.payload === null ? 'absent' : 'value');
        asked.resolve(loaded);
      } catch (error) {
        stats.loadFailures += 1;
        report(asked, 'failed');
        asked.reject(error);
      }
    }
  }

  /** Through JSON at once, so that a value has the same shape whichever tier it comes from. */
  #canonical(key: string, value: V | null | undefined, startedAtMs: number): Loaded<V> {
    if (value === null || value === undefined) return { value: null, payload: null, startedAtMs };
    const { definition, schema } = this.#o;
    const payload = jsonOf(value, (cause) => {
      const message = `The loader of ${definition} gave something for ${key} that JSON can't hold.`;
      return new CacheValueError(message, { cause });
    });
    const checked = checkValue(schema, JSON.parse(payload));
    if (!checked.ok) {
      throw new CacheValueError(
        `The loader of ${definition} gave a value for ${key} that its schema refuses: ${checked.reason}`,
      );
    }
    return { value: checked.value, payload, startedAtMs };
  }
}

function jsonOf(value: unknown, refusal: (cause: unknown) => Error): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value) as string | undefined;
  } catch (cause) {
    throw refusal(cause);
  }
  if (text === undefined) throw refusal(undefined);
  return text;
}
