/**
 * Limits how often something may happen: the generic cell rate algorithm. A client's whole state is one time, the
 * theoretical arrival time of the next request if all came evenly; it lies in the engine and is moved by the engine's
 * clock, so processes with different clocks agree, and nothing needs to be swept: the key ends when the time is past.
 *
 * What is allowed: `burst` at once, and `limit` per `windowMs` on average, evenly refilled. So within any one window
 * never more than `burst + limit`. (A fixed window allows twice the limit around its edge; a log of every request is
 * exact, and costs memory per request.)
 */
import type { Cache } from '../cache.ts';
import { SharedTierError } from '../errors.ts';
import { Keyspace } from '../far/keyspace.ts';
import { script } from '../far/script.ts';
import { tell } from '../telemetry.ts';
import { checked, checkId, identifier, wholeFrom } from './checks.ts';

export interface RateLimiterOptions {
  /** Letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** How much per window. 1 to 1,000,000. */
  readonly limit: number;
  readonly windowMs: number;
  /** How much at once, after a pause. Default `limit`. */
  readonly burst?: number;
  /** What `take` answers while the shared tier is down: allowed ('open'), or not ('closed'). There is no good default. */
  readonly whenDown: 'open' | 'closed';
}

export interface RateDecision {
  readonly allowed: boolean;
  /** How much could be taken at once right after this. */
  readonly remaining: number;
  /** 0 when allowed; else when the same would be, if nothing else is taken. */
  readonly retryAfterMs: number;
  /** Until everything is there again. */
  readonly resetMs: number;
  /** The shared tier was down, and `whenDown` answered. */
  readonly guessed: boolean;
}

/**
 * KEYS 1 state; ARGV 1 µs per unit, 2 burst, 3 cost
 * Reply 1 if allowed, µs that the arrival time lies ahead now, µs to wait
 */
export const takeScript = script(
  'take',
  `local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local unit, full, cost = tonumber(ARGV[1]), ARGV[1] * ARGV[2], ARGV[1] * ARGV[3]
local ahead = tonumber(redis.call('GET', KEYS[1]) or now) - now
if ahead < 0 then ahead = 0 end
-- The clock of a promoted replica may be behind.
if ahead > full then ahead = full end
local after = ahead + cost
if after > full then return {0, string.format('%.0f', ahead), string.format('%.0f', after - full)} end
redis.call('SET', KEYS[1], string.format('%.0f', now + after), 'PX', string.format('%.0f', math.ceil(after / 1000) + 1))
return {1, string.format('%.0f', after), '0'}`,
);

export class RateLimiter {
  readonly name: string;
  readonly #cache: string;
  readonly #keys: Keyspace;
  readonly #unitMicros: number;
  readonly #burst: number;
  readonly #open: boolean;

  /** Throws CacheConfigError. */
  constructor(cache: Cache, { name, limit, windowMs, burst = limit, whenDown }: RateLimiterOptions) {
    checked(identifier(name), '`name` takes 1 to 64 letters, digits, "_", "." and "-".');
    checked(whenDown === 'open' || whenDown === 'closed', "`whenDown` is 'open' or 'closed'.");
    wholeFrom('limit', limit, 1, 1_000_000);
    wholeFrom('windowMs', windowMs, 1, 366 * 86_400_000);
    this.#burst = wholeFrom('burst', burst, 1, 1_000_000);
    this.#unitMicros = Math.ceil((windowMs * 1_000) / limit);
    this.name = name;
    this.#cache = cache.name;
    this.#keys = new Keyspace(cache.internals, `#r:${name}:`, 0);
    this.#open = whenDown === 'open';
  }

  /**
   * Takes `cost` for a client, if it is there; what isn't allowed costs nothing. One round trip. Never rejects because
   * of the shared tier. Throws CacheConfigError when `cost` is beyond `burst`: that would never be allowed.
   *
   * @param client whom it concerns: an address, a user; of at most 200 characters
   */
  async take(client: string, cost = 1): Promise<RateDecision> {
    wholeFrom('cost', cost, 1, this.#burst);
    const { partition, key } = this.#keys.spot(checkId(client));
    const args = [String(this.#unitMicros), String(this.#burst), String(cost)];
    let reply: readonly [number, string, string];
    try {
      reply = (await this.#keys.run(partition, takeScript, { keys: [key], args })) as typeof reply;
    } catch (error) {
      if (!(error instanceof SharedTierError)) throw error;
      tell(this.#cache, 'rateLimit', () => ({ limiter: this.name, allowed: this.#open, guessed: true }));
      return {
        allowed: this.#open,
        remaining: 0,
        retryAfterMs: this.#open ? 0 : this.#unitMicros / 1_000,
        resetMs: 0,
        guessed: true,
      };
    }
    const [allowed, ahead, wait] = reply.map(Number) as [number, number, number];
    if (allowed === 0)
      tell(this.#cache, 'rateLimit', () => ({ limiter: this.name, allowed: false, guessed: false }));
    return {
      allowed: allowed === 1,
      remaining: Math.floor((this.#unitMicros * this.#burst - ahead) / this.#unitMicros),
      retryAfterMs: Math.ceil(wait / 1_000),
      resetMs: Math.ceil(ahead / 1_000),
      guessed: false,
    };
  }

  /** Gives a client everything back. One round trip. Rejects with SharedTierError. */
  async reset(client: string): Promise<void> {
    const { partition, key } = this.#keys.spot(checkId(client));
    await this.#keys.send(partition, ['DEL', key]);
  }
}
