/**
 * How many different visitors, approximately: a HyperLogLog per bucket of time, united over windows. 12 KB at most a
 * bucket, whatever the number; the standard error is 0.81 %, also of a union. Visitors can't be listed or taken out.
 */
import type { Cache } from '../cache.ts';
import { Keyspace } from '../far/keyspace.ts';
import { script } from '../far/script.ts';
import { checked, checkId, identifier, wholeFrom } from './checks.ts';
import { noteWrite, rebuild } from './rebuild.ts';

export interface VisitorsOptions {
  /** Letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** Default 86,400,000: days, of UTC. */
  readonly bucketMs?: number;
  /** Kept, and the most that a window may hold. 1 to 1,000, default 31. */
  readonly buckets?: number;
}

/**
 * KEYS 1 base; ARGV 1 length of a bucket in ms, 2 buckets kept, 3 ms since 1970 or '', 4 journal text, 5 ... visitors
 * Reply 1 if the estimate changed
 */
export const visitScript = script(
  'visit',
  `${noteWrite}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local at = ARGV[3] == '' and now or tonumber(ARGV[3])
local bucket = math.floor(at / ARGV[1])
local ends = (bucket + ARGV[2]) * ARGV[1]
if ends <= now then return 0 end
local key = KEYS[1] .. ':' .. string.format('%.0f', bucket)
local changed = redis.call('PFADD', key, unpack(ARGV, 5))
redis.call('PEXPIREAT', key, string.format('%.0f', ends))
note(key, ARGV[4])
return changed`,
);

/** KEYS 1 base; ARGV 1 length of a bucket, 2 buckets; reply the estimate for their union */
export const countVisitorsScript = script(
  'countVisitors',
  `local t = redis.call('TIME')
local current = math.floor((t[1] * 1000 + math.floor(t[2] / 1000)) / ARGV[1])
local keys = {}
for i = 0, ARGV[2] - 1 do keys[#keys + 1] = KEYS[1] .. ':' .. string.format('%.0f', current - i) end
return redis.call('PFCOUNT', unpack(keys))`,
);

/** For rebuilds. KEYS 1 bucket; ARGV visitors; reply 'ok' */
export const addVisitorsScript = script(
  'addVisitors',
  `redis.call('PFADD', KEYS[1], unpack(ARGV))
return 'ok'`,
);

const maxPerStep = 1_000;

export class Visitors {
  readonly name: string;
  readonly #keys: Keyspace;
  readonly #bucketMs: number;
  readonly #buckets: number;

  /** Throws CacheConfigError. */
  constructor(cache: Cache, { name, bucketMs = 86_400_000, buckets = 31 }: VisitorsOptions) {
    checked(identifier(name), '`name` takes 1 to 64 letters, digits, "_", "." and "-".');
    this.name = name;
    this.#bucketMs = wholeFrom('bucketMs', bucketMs, 1);
    this.#buckets = wholeFrom('buckets', buckets, 1, 1_000);
    this.#keys = new Keyspace(cache.internals, `#v:${name}:`, 0);
  }

  /** At most 1,000 visitors, now or at `atMs`. Safe to repeat. One round trip. Rejects with SharedTierError. */
  async add(
    id: string,
    visitors: readonly string[],
    { atMs }: { readonly atMs?: number } = {},
  ): Promise<void> {
    if (visitors.length === 0) return;
    checked(visitors.length <= maxPerStep, `At most ${maxPerStep} visitors at a time.`);
    const { partition, key } = this.#keys.spot(checkId(id));
    const noted = JSON.stringify({ write: visitors });
    const at = atMs === undefined ? '' : String(Math.floor(atMs));
    const args = [String(this.#bucketMs), String(this.#buckets), at, noted, ...visitors];
    await this.#keys.run(partition, visitScript, { keys: [key], args });
  }

  /** Over the last `buckets`, the running one with them. One round trip; the engine unites as many, so cache it. */
  async count(id: string, buckets = 1): Promise<number> {
    wholeFrom('buckets', buckets, 1, this.#buckets);
    const { partition, key } = this.#keys.spot(checkId(id));
    const args = [String(this.#bucketMs), String(buckets)];
    return Number(await this.#keys.run(partition, countVisitorsScript, { keys: [key], args }));
  }

  /**
   * Puts what the database says in place of the bucket that `atMs` falls into. Visitors added meanwhile are in it.
   * Rejects as rebuild.ts says.
   */
  async rebuild(id: string, atMs: number, visitors: AsyncIterable<string> | Iterable<string>): Promise<void> {
    const { partition, key } = this.#keys.spot(checkId(id));
    const bucket = Math.floor(atMs / this.#bucketMs);
    const add = (to: string, some: readonly string[]): Promise<unknown> =>
      this.#keys.run(partition, addVisitorsScript, { keys: [to], args: some });
    await rebuild<string, readonly string[]>(
      {
        keys: this.#keys,
        spot: { partition, key: `${key}:${bucket}` },
        parts: [''],
        untilMs: (bucket + this.#buckets) * this.#bucketMs,
        rows: visitors,
        fill: add,
        replay: async (to, writes) => {
          for (const some of writes) await add(to, some);
        },
      },
      {},
    );
  }
}
