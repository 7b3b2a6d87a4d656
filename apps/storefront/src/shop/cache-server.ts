/** The connection to Valkey or Redis for what is the shop's own: sessions, holds on stock, the leaderboard. */
import { createClient, defineScript } from 'redis';

export interface CacheAddress {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
}

/**
 * Connects in the background and again after every loss, at most 200 ms apart. While there is no connection
 * every command fails at once, so the caller decides whether to wait, to retry or to do without.
 */
export function openCacheServer(address: CacheAddress) {
  const client = createClient({
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    socket: {
      host: address.host,
      port: address.port,
      connectTimeout: 1_000,
      reconnectStrategy: (attempts) => Math.min(10 * (attempts + 1), 200),
      // Together with the ping: a server that hangs is a lost connection after 1.5 s, not a wait for ever.
      socketTimeout: 1_500,
    },
    pingInterval: 500,
    disableOfflineQueue: true,
    // node-redis' own limit makes one AbortSignal per command, five times the cost of the command itself.
    commandOptions: { timeout: 0 },
    scripts: { holdStock, releaseStock, setSessionField },
  });
  // Each command reports its own failure; the event would only end the process.
  client.on('error', () => {});
  void client.connect().catch(() => {});
  return client;
}

export type CacheServer = ReturnType<typeof openCacheServer>;

export async function closeCacheServer(server: CacheServer): Promise<void> {
  if (server.isReady) await server.close().catch(() => {});
  else server.destroy();
}

/**
 * Holds units of a product for one buyer: answers `held`, `sold-out` (fewer units exist than wanted) or
 * `contended` (enough exist, but other buyers hold them). Holds run out by themselves, so a shop process
 * that dies in a checkout blocks nobody for long. The same holder asking again is answered `held`.
 */
const holdStock = defineScript({
  NUMBER_OF_KEYS: 2,
  SCRIPT: `
    local holds, held = KEYS[1], KEYS[2]
    local holder, quantity, stock, holdMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
    local time = redis.call('TIME')
    local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', nowMs)) do
      redis.call('ZREM', holds, member)
      redis.call('DECRBY', held, string.match(member, '^%d+'))
    end
    if quantity > stock then return 'sold-out' end
    local member = quantity .. ':' .. holder
    if redis.call('ZSCORE', holds, member) then return 'held' end
    if tonumber(redis.call('GET', held) or '0') + quantity > stock then return 'contended' end
    redis.call('ZADD', holds, nowMs + holdMs, member)
    redis.call('INCRBY', held, quantity)
    redis.call('PEXPIRE', holds, holdMs * 2)
    redis.call('PEXPIRE', held, holdMs * 2)
    return 'held'`,
  parseCommand(
    parser,
    keys: readonly [holds: string, held: string],
    hold: {
      readonly holder: string;
      readonly quantity: number;
      readonly stock: number;
      readonly holdMs: number;
    },
  ) {
    parser.pushKey(keys[0]);
    parser.pushKey(keys[1]);
    parser.push(hold.holder, String(hold.quantity), String(hold.stock), String(hold.holdMs));
  },
  transformReply: (reply: unknown): 'held' | 'sold-out' | 'contended' => {
    if (reply === 'held' || reply === 'sold-out' || reply === 'contended') return reply;
    throw new Error(`The cache server answered ${JSON.stringify(reply)} to a hold on stock.`);
  },
});

const releaseStock = defineScript({
  NUMBER_OF_KEYS: 2,
  SCRIPT: `
    if redis.call('ZREM', KEYS[1], ARGV[2] .. ':' .. ARGV[1]) == 1 then
      redis.call('DECRBY', KEYS[2], ARGV[2])
    end
    return 1`,
  parseCommand(parser, keys: readonly [holds: string, held: string], holder: string, quantity: number) {
    parser.pushKey(keys[0]);
    parser.pushKey(keys[1]);
    parser.push(holder, String(quantity));
  },
  transformReply: (reply: unknown): boolean => reply === 1,
});

/** Sets or, with an empty value, deletes a field, but only of a hash that exists. */
const setSessionField = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `
    if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
    if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
    else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    return 1`,
  parseCommand(parser, key: string, field: string, value: string, seconds: number) {
    parser.pushKey(key);
    parser.push(field, value, String(seconds));
  },
  transformReply: (reply: unknown): boolean => reply === 1,
});
