/**
 * The most frequent items of a stream, in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi, 2005). With m
 * places and N counted in all, no count is below the true one, none is more than its `error` above it, no error exceeds
 * N / m, and every item that was counted more than N / m times has a place.
 */
import type { Cache } from '../cache.ts';
import { Keyspace } from '../far/keyspace.ts';
import { script } from '../far/script.ts';
import { checked, checkId, identifier, wholeFrom } from './checks.ts';
import { noteWrite, type RebuildOptions, rebuild } from './rebuild.ts';

export interface TopItemsOptions {
  /** Letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** 1 to 100,000, default 1,000: some 150 KB with short names. Ten times what `top` shows makes errors small. */
  readonly places?: number;
  /** It ends when nothing was added for so long. Default never. */
  readonly ttlMs?: number;
}

export interface TopItem {
  readonly item: string;
  /** At least the true count. */
  readonly count: number;
  /** `count - error` is at most the true count. */
  readonly error: number;
}

type Write = readonly [item: string, by: number];

/** KEYS 1 sorted set of counts, 2 hash of errors; ARGV 1 places, 2 time to live or 0, 3 journal text or '', 4 ... item, by; reply 'ok' */
export const addItemsScript = script(
  'addItems',
  `${noteWrite}
local places = tonumber(ARGV[1])
for i = 4, #ARGV, 2 do
  local item, by = ARGV[i], ARGV[i + 1]
  if redis.call('ZSCORE', KEYS[1], item) then
    redis.call('ZINCRBY', KEYS[1], by, item)
  elseif redis.call('ZCARD', KEYS[1]) < places then
    redis.call('ZADD', KEYS[1], by, item)
  else
    local least = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    redis.call('ZREM', KEYS[1], least[1])
    redis.call('HDEL', KEYS[2], least[1])
    redis.call('ZADD', KEYS[1], string.format('%.0f', least[2] + by), item)
    redis.call('HSET', KEYS[2], item, least[2])
  end
end
if ARGV[2] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
note(KEYS[1], ARGV[3])
return 'ok'`,
);

/** KEYS 1 counts, 2 errors; ARGV 1 how many; reply item, count, error, … */
export const topItemsScript = script(
  'topItems',
  `local found = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
local out = {}
for i = 1, #found, 2 do
  out[#out + 1] = found[i]
  out[#out + 1] = found[i + 1]
  out[#out + 1] = redis.call('HGET', KEYS[2], found[i]) or '0'
end
return out`,
);

const errorsPart = '#e';

export class TopItems {
  readonly name: string;
  readonly #keys: Keyspace;
  readonly #places: number;
  readonly #ttlMs: number;

  /** Throws CacheConfigError. */
  constructor(cache: Cache, { name, places = 1_000, ttlMs = 0 }: TopItemsOptions) {
    checked(identifier(name), '`name` takes 1 to 64 letters, digits, "_", "." and "-".');
    this.name = name;
    this.#places = wholeFrom('places', places, 1, 100_000);
    this.#ttlMs = wholeFrom('ttlMs', ttlMs, 0);
    this.#keys = new Keyspace(cache.internals, `#k:${name}:`, 0);
  }

  /**
   * Counts an item. One round trip. Rejects with SharedTierError: it may have been counted or not.
   * @param options.event its id in the database, for `rebuild`
   */
  async add(id: string, item: string, by = 1, { event }: { readonly event?: string } = {}): Promise<void> {
    const { partition, key } = this.#keys.spot(checkId(id));
    const write: Write = [checkItem(item), wholeFrom('by', by, 1)];
    await this.#write(partition, key, { writes: [write], noted: JSON.stringify({ event, write }) });
  }

  /** The most frequent first, at most 1,000. One round trip. */
  async top(id: string, count = 10): Promise<TopItem[]> {
    wholeFrom('count', count, 1, 1_000);
    const { partition, key } = this.#keys.spot(checkId(id));
    const call = { keys: [key, key + errorsPart], args: [String(count)] };
    const flat = (await this.#keys.run(partition, topItemsScript, call)) as readonly string[];
    return Array.from({ length: flat.length / 3 }, (_, at) => ({
      item: flat[3 * at]!,
      count: Number(flat[3 * at + 1]),
      error: Number(flat[3 * at + 2]),
    }));
  }

  /**
   * Puts what the database says in its place: rows of item and count. With the greatest first the errors stay least.
   * See rebuild.ts for what happens to writes meanwhile, and what it rejects with.
   */
  async rebuild(
    id: string,
    rows: AsyncIterable<Write> | Iterable<Write>,
    options: RebuildOptions = {},
  ): Promise<void> {
    const { partition, key } = this.#keys.spot(checkId(id));
    const add = (to: string, writes: readonly Write[]): Promise<unknown> =>
      this.#write(partition, to, { writes, noted: '' });
    await rebuild<Write, Write>(
      {
        keys: this.#keys,
        spot: { partition, key },
        parts: ['', errorsPart],
        lastsMs: this.#ttlMs,
        rows,
        fill: (to, some) =>
          add(
            to,
            some.map(([item, by]): Write => [checkItem(item), wholeFrom('count', by, 1)]),
          ),
        replay: add,
      },
      options,
    );
  }

  async #write(
    partition: Parameters<Keyspace['run']>[0],
    key: string,
    { writes, noted }: { readonly writes: readonly Write[]; readonly noted: string },
  ): Promise<void> {
    const args = [String(this.#places), String(this.#ttlMs), noted, ...writes.flat().map(String)];
    await this.#keys.run(partition, addItemsScript, { keys: [key, key + errorsPart], args });
  }
}

function checkItem(item: string): string {
  checked(
    typeof item === 'string' && item.length > 0 && item.length <= 512,
    'An item is a text of 1 to 512 characters.',
  );
  return item;
}
