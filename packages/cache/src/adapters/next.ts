/**
 * Next.js over the shared tier: pages and fetches (`cacheHandler`, Next 15 and later) and 'use cache' (`cacheHandlers`,
 * Next 16). The interfaces are written here as Next documents them; nothing of Next is imported.
 *
 * What it adds to Next's own: once `revalidateTag` has resolved, in whichever process, no process is given an entry
 * whose render began before, not even when the render ends afterwards. How: generation-entries.ts. Its cost: two round
 * trips per hit, as nothing is kept in the process; a render that any revalidation fell into isn't kept.
 */
import { type Cache, type CacheOptions, createCache } from '../cache.ts';
import { monotonicClock } from '../clock.ts';
import { GenerationEntries } from './generation-entries.ts';
import { Tickets } from './tickets.ts';

export interface NextCacheOptions extends Pick<CacheOptions, 'name' | 'far' | 'partitions' | 'clock'> {
  /** How long an entry is kept that Next neither renews nor revalidates. Default a week, at most 24 days. */
  readonly keepMs?: number;
  /** A longer entry, in UTF-16 code units of its JSON, is not kept. Default 4,194,304. */
  readonly maxValueLength?: number;
  /** No render takes longer; the promise above doesn't hold for one that does. Default 10 minutes. */
  readonly renderMs?: number;
}

/** Of `cacheHandler`: Next makes one per request. */
export interface NextCacheHandler {
  get(key: string, context?: NextContext): Promise<{ lastModified: number; value: unknown } | null>;
  /** Null removes it. */
  set(key: string, value: unknown, context?: NextContext): Promise<void>;
  /** Rejects with InvalidationPendingError when the shared tier did not confirm; it is then repeated until it does. */
  revalidateTag(tags: string | readonly string[]): Promise<void>;
  resetRequestCache(): void;
}

export interface NextContext {
  readonly tags?: readonly string[];
  readonly softTags?: readonly string[];
}

/** Times are in seconds, but for `timestamp`, which is in ms. */
export interface NextCacheEntry {
  value: ReadableStream<Uint8Array>;
  tags: string[];
  stale: number;
  timestamp: number;
  expire: number;
  revalidate: number;
}

/** Of `cacheHandlers`. */
export interface NextUseCacheHandler {
  get(key: string, softTags: readonly string[]): Promise<NextCacheEntry | undefined>;
  set(key: string, pending: Promise<NextCacheEntry>): Promise<void>;
  refreshTags(): Promise<void>;
  getExpiration(tags: readonly string[]): Promise<number>;
  /**
   * Ends entries at once, also where `durations` would let them be served a while longer. Rejects with
   * InvalidationPendingError when the shared tier did not confirm; it is then repeated until it does.
   */
  updateTags(tags: readonly string[], durations?: { readonly expire?: number }): Promise<void>;
}

export interface NextCache {
  /** What the file of `cacheHandler` exports by default. */
  readonly CacheHandler: new () => NextCacheHandler;
  /** What a file of `cacheHandlers` exports by default. */
  readonly useCacheHandler: NextUseCacheHandler;
  readonly cache: Cache;
}

const tagsHeader = 'x-next-cache-tags';

/** Throws CacheConfigError. Connects in the background at once. */
export function nextCache(options: NextCacheOptions): NextCache {
  const { keepMs = 7 * 86_400_000, maxValueLength, renderMs = 600_000, ...rest } = options;
  const cache = createCache({ ...rest, near: false });
  const settings = {
    keepMs,
    lateDependencies: true,
    ...(maxValueLength === undefined ? {} : { maxValueLength }),
  };
  const newTickets = (): Tickets => new Tickets(options.clock ?? monotonicClock, renderMs);
  return {
    cache,
    CacheHandler: handlerClass(new GenerationEntries(cache, { name: 'next', ...settings }), newTickets),
    useCacheHandler: useCacheHandler(
      new GenerationEntries(cache, { name: 'next-use-cache', ...settings }),
      newTickets(),
    ),
  };
}

interface KeptPage {
  readonly value: unknown;
  readonly lastModified: number;
}

function handlerClass(entries: GenerationEntries, newTickets: () => Tickets): NextCache['CacheHandler'] {
  return class implements NextCacheHandler {
    // Of this request alone, as Next makes a handler for each.
    readonly #tickets = newTickets();

    async get(key: string, context: NextContext = {}): Promise<KeptPage | null> {
      const dependencies = [...(context.tags ?? []), ...(context.softTags ?? [])];
      const { value, ticket } = await entries.find(key, dependencies);
      // Also for a hit: Next may find it too old, and make a new one.
      this.#tickets.ask(key, ticket);
      return (value as KeptPage | undefined) ?? null;
    }

    async set(key: string, value: unknown, context: NextContext = {}): Promise<void> {
      if (value === null || value === undefined) return entries.remove(key);
      const ticket = this.#tickets.answer(key);
      if (ticket === undefined) return;
      const dependencies = [...(context.tags ?? []), ...tagsOf(value)];
      await entries.keep(key, { value, lastModified: Date.now() }, dependencies, ticket);
    }

    revalidateTag(tags: string | readonly string[]): Promise<void> {
      return entries.invalidate([tags].flat());
    }

    resetRequestCache(): void {}
  };
}

/** Where Next puts them: fetches have them as a list, pages and routes as a header. */
function tagsOf(value: unknown): readonly string[] {
  const { tags, headers } = value as { readonly tags?: unknown; readonly headers?: Record<string, unknown> };
  const header = headers?.[tagsHeader];
  return [
    ...(Array.isArray(tags) ? tags.map(String) : []),
    ...(typeof header === 'string' ? header.split(',').filter((tag) => tag !== '') : []),
  ];
}

type KeptEntry = Omit<NextCacheEntry, 'value'> & { readonly bytes: Uint8Array };

function useCacheHandler(entries: GenerationEntries, tickets: Tickets): NextUseCacheHandler {
  const pendingSets = new Map<string, Promise<void>>();

  async function keep(key: string, pending: Promise<NextCacheEntry>): Promise<void> {
    // Before anything else, while it is certain whose render this is.
    const ticket = tickets.answer(key);
    const entry = await pending;
    const [mine, theirs] = entry.value.tee();
    entry.value = theirs;
    // Reads it to its end in any case, as tee holds back what only one side reads. An error means a part is missing.
    const bytes = new Uint8Array(await new Response(mine).arrayBuffer());
    if (ticket === undefined) return;
    const { tags, stale, timestamp, expire, revalidate } = entry;
    await entries.keep(key, { tags, stale, timestamp, expire, revalidate, bytes }, tags, ticket);
  }

  return {
    async get(key, softTags) {
      // Next asks that whoever comes during a `set` waits for it.
      await pendingSets.get(key);
      const { value, ticket } = await entries.find(key, softTags);
      const kept = value as KeptEntry | undefined;
      const ageMs = kept === undefined ? Number.POSITIVE_INFINITY : Date.now() - kept.timestamp;
      if (kept === undefined || ageMs > kept.expire * 1_000) {
        tickets.ask(key, ticket);
        return undefined;
      }
      // Next serves it, and makes a new one meanwhile.
      if (ageMs > kept.revalidate * 1_000) tickets.ask(key, ticket);
      const { bytes, ...entry } = kept;
      return { ...entry, value: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() };
    },
    async set(key, pending) {
      const kept = keep(key, pending).catch(() => {});
      pendingSets.set(key, kept);
      await kept;
      if (pendingSets.get(key) === kept) pendingSets.delete(key);
    },
    async refreshTags() {},
    // Soft tags are to be passed to `get`.
    getExpiration: async () => Number.POSITIVE_INFINITY,
    updateTags: (tags) => entries.invalidate(tags),
  };
}
