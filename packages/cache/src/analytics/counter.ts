/**
 * Counts over sliding windows of time. One counter is a hash of buckets in one slot; the engine's clock says which
 * bucket is the running one, so processes with wrong clocks count right. Buckets that no window needs go by the way.
 */
import type { Cache } from '../cache.ts';
import { Keyspace } from '../far/keyspace.ts';
import { script } from '../far/script.ts';
import { checked, checkId, identifier, wholeFrom } from './checks.ts';
import { noteWrite, type RebuildOptions, rebuild } from './rebuild.ts';

export interface CounterOptions {
  /** Letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** Of a bucket, and so how exact a window is. Default 60,000. */
  readonly bucketMs?: number;
  /** Kept, and the most that a window may hold. 1 to 2,000, default 60. */
  readonly buckets?: number;
}

export interface CountBucket {
  /** ms since 1970. */
  readonly startMs: number;
  readonly count: number;
}

type Write = readonly [bucket: string, by: number];

/**
 * KEYS 1 counter; ARGV 1 length of a bucket in ms, 2 buckets kept, 3 event or '', 4 by how much, 5 ms since 1970 or ''
 * Reply the bucket's count now
 */
export const countScript = script(
  'count',
  `${noteWrite}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local at = ARGV[5] == '' and now or tonumber(ARGV[5])
local oldest = math.floor(now / ARGV[1]) - ARGV[2] + 1
local bucket = math.floor(at / ARGV[1])
if bucket < oldest then return 0 end
local field = string.format('%.0f', bucket)
local count = redis.call('HINCRBY', KEYS[1], field, ARGV[4])
if count == tonumber(ARGV[4]) and redis.call('HLEN', KEYS[1]) > ARGV[2] * 1.25 then
  for _, each in ipairs(redis.call('HKEYS', KEYS[1])) do
    if tonumber(each) < oldest then redis.call('HDEL', KEYS[1], each) end
  end
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[1] * (ARGV[2] + 1)))
local event = ARGV[3] ~= '' and '"event":' .. ARGV[3] .. ',' or ''
note(KEYS[1], '{' .. event .. '"write":["' .. field .. '",' .. ARGV[4] .. ']}')
return count`,
);

/** KEYS 1 counter; ARGV 1 length of a bucket, 2 buckets to read; reply number of the running bucket, counts, newest first */
export const readCountsScript = script(
  'readCounts',
  `local t = redis.call('TIME')
local current = math.floor((t[1] * 1000 + math.floor(t[2] / 1000)) / ARGV[1])
local fields = {}
for i = 0, ARGV[2] - 1 do fields[#fields + 1] = string.format('%.0f', current - i) end
local counts = redis.call('HMGET', KEYS[1], unpack(fields))
local out = {string.format('%.0f', current)}
for i = 1, #fields do out[i + 1] = counts[i] or '0' end
return out`,
);

/** For rebuilds. KEYS 1 counter; ARGV bucket, count, …; reply 'ok' */
export const addCountsScript = script(
  'addCounts',
  `for i = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 'ok'`,
);

export class Counter {
  readonly name: string;
  readonly #keys: Keyspace;
  readonly #bucketMs: number;
  readonly #buckets: number;

  /** Throws CacheConfigError. */
  constructor(cache: Cache, { name, bucketMs = 60_000, buckets = 60 }: CounterOptions) {
    checked(identifier(name), '`name` takes 1 to 64 letters, digits, "_", "." and "-".');
    this.name = name;
    this.#bucketMs = wholeFrom('bucketMs', bucketMs, 1);
    this.#buckets = wholeFrom('buckets', buckets, 1, 2_000);
    this.#keys = new Keyspace(cache.internals, `#c:${name}:`, 0);
  }

  /**
   * Counts what happens now, or happened at `atMs`; older than all buckets it is ignored. Resolves with its bucket's
   * count. One round trip. Rejects with SharedTierError: it may have been counted or not.
   *
   * @param options.event its id in the database, for `rebuild`
   */
  async increment(
    id: string,
    by = 1,
    { atMs, event }: { readonly atMs?: number; readonly event?: string } = {},
  ): Promise<number> {
    wholeFrom('by', by, Number.MIN_SAFE_INTEGER);
    const { partition, key } = this.#keys.spot(checkId(id));
    const args = [
      ...[String(this.#bucketMs), String(this.#buckets), event === undefined ? '' : JSON.stringify(event)],
      ...[String(by), atMs === undefined ? '' : String(Math.floor(atMs))],
    ];
    return Number(await this.#keys.run(partition, countScript, { keys: [key], args }));
  }

  /**
   * The sum over the last `windowMs`, the running bucket with it: exact but for what the oldest bucket holds from
   * before the window, less than one `bucketMs`. One round trip.
   */
  async sum(id: string, windowMs: number): Promise<number> {
    const series = await this.series(id, windowMs);
    return series.reduce((total, { count }) => total + count, 0);
  }

  /** The buckets that the last `windowMs` touches, oldest first, the running one last. One round trip. */
  async series(id: string, windowMs: number): Promise<CountBucket[]> {
    const wanted = Math.ceil(windowMs / this.#bucketMs);
    checked(
      wanted >= 1 && wanted <= this.#buckets,
      `A window of this counter has more than 0 and at most ${this.#buckets * this.#bucketMs} ms.`,
    );
    const { partition, key } = this.#keys.spot(checkId(id));
    const args = [String(this.#bucketMs), String(wanted)];
    const [current = '', ...counts] = (await this.#keys.run(partition, readCountsScript, {
      keys: [key],
      args,
    })) as string[];
    return counts
      .map((count, back) => ({ startMs: (Number(current) - back) * this.#bucketMs, count: Number(count) }))
      .reverse();
  }

  /**
   * Puts what the database says in place of all buckets: rows of time (ms since 1970) and count, any number of one
   * bucket. See rebuild.ts for what happens to writes meanwhile, and what it rejects with.
   */
  async rebuild(
    id: string,
    rows:
      | AsyncIterable<readonly [atMs: number, count: number]>
      | Iterable<readonly [atMs: number, count: number]>,
    options: RebuildOptions = {},
  ): Promise<void> {
    const spot = this.#keys.spot(checkId(id));
    const add = (to: string, writes: readonly Write[]): Promise<unknown> =>
      this.#keys.run(spot.partition, addCountsScript, { keys: [to], args: writes.flat().map(String) });
    await rebuild<readonly [number, number], Write>(
      {
        keys: this.#keys,
        spot,
        parts: [''],
        lastsMs: this.#bucketMs * (this.#buckets + 1),
        rows,
        fill: (to, some) =>
          add(
            to,
            some.map(
              ([atMs, count]) =>
                [
                  String(Math.floor(atMs / this.#bucketMs)),
                  wholeFrom('count', count, Number.MIN_SAFE_INTEGER),
                ] as const,
            ),
          ),
        replay: add,
      },
      options,
    );
  }
}
