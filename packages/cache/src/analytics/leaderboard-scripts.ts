/** A board's period in the engine: KEYS 1 the sorted set, 2 the hash of orders (ties 'first'). See leaderboard.ts. */
import { script } from '../far/script.ts';
import { noteWrite } from './rebuild.ts';

/** The name of a member in the set, false when it has none. */
const nameIn = `
local function nameIn(ties, hash, member)
  if ties ~= 'first' then return member end
  local order = redis.call('HGET', hash, 'm' .. member)
  return order and order .. member
end
`;

/**
 * KEYS set and hash of each period; ARGV 1 ties, 2 text for journals or '', 3 ... end of each period or 0, then
 * mode, member, value of each write
 * Reply the first member's score in each period
 */
export const boardWriteScript = script(
  'boardWrite',
  `${noteWrite}${nameIn}
local function order(hash)
  local n = redis.call('HINCRBY', hash, 'n', 1)
  return string.format('%015.0f', 999999999999999 - n)
end
local function write(set, hash, mode, member, value)
  local old = nameIn(ARGV[1], hash, member)
  local present = old and redis.call('ZSCORE', set, old)
  local score = tonumber(value)
  if present then
    if mode == 'add' then score = score + tonumber(present) end
    if score == tonumber(present) or (mode == 'max' and score < tonumber(present)) then return present end
  end
  local name = member
  if ARGV[1] == 'first' then
    local number = order(hash)
    name = number .. member
    if present then redis.call('ZREM', set, old) end
    redis.call('HSET', hash, 'm' .. member, number)
  end
  redis.call('ZADD', set, string.format('%.17g', score), name)
  return redis.call('ZSCORE', set, name)
end
local first = 3 + #KEYS / 2
local scores = {}
for k = 1, #KEYS, 2 do
  for i = first, #ARGV, 3 do
    local score = write(KEYS[k], KEYS[k + 1], ARGV[i], ARGV[i + 1], ARGV[i + 2])
    if i == first then scores[#scores + 1] = score end
  end
  local till = ARGV[2 + (k + 1) / 2]
  if till ~= '0' then
    redis.call('PEXPIREAT', KEYS[k], till)
    redis.call('PEXPIREAT', KEYS[k + 1], till)
  end
  note(KEYS[k], ARGV[2])
end
return scores`,
);

/** KEYS set and hash of each period; ARGV 1 ties, 2 member; reply how many of them had it */
export const boardRemoveScript = script(
  'boardRemove',
  `${nameIn}
local count = 0
for k = 1, #KEYS, 2 do
  local name = nameIn(ARGV[1], KEYS[k + 1], ARGV[2])
  if name then count = count + redis.call('ZREM', KEYS[k], name) end
  redis.call('HDEL', KEYS[k + 1], 'm' .. ARGV[2])
end
return count`,
);

const page = `
local function page(set, ties, start, stop)
  local pairs = redis.call('ZREVRANGE', set, start, stop, 'WITHSCORES')
  local out = {start, 0}
  if #pairs == 0 then return out end
  if ties == 'shared' then out[2] = redis.call('ZCOUNT', set, '(' .. pairs[2], '+inf') end
  for i = 1, #pairs do out[i + 2] = pairs[i] end
  return out
end
`;

/** KEYS 1 set; ARGV 1 ties, 2 first, 3 last index; reply first index, members ahead of it, name, score, … */
export const boardPageScript = script(
  'boardPage',
  `${page}return page(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))`,
);

/** KEYS 1 set, 2 hash; ARGV 1 ties, 2 member, 3 before, 4 after; reply as the page's */
export const boardAroundScript = script(
  'boardAround',
  `${nameIn}${page}
local name = nameIn(ARGV[1], KEYS[2], ARGV[2])
local at = name and redis.call('ZREVRANK', KEYS[1], name)
if not at then return {0, 0} end
return page(KEYS[1], ARGV[1], math.max(0, at - tonumber(ARGV[3])), at + tonumber(ARGV[4]))`,
);

/** KEYS 1 set, 2 hash; ARGV 1 ties, 2 member; reply score, members ahead, members with a lower score, all; or nothing */
export const boardRankScript = script(
  'boardRank',
  `${nameIn}
local name = nameIn(ARGV[1], KEYS[2], ARGV[2])
local score = name and redis.call('ZSCORE', KEYS[1], name)
if not score then return {} end
local ahead = ARGV[1] == 'first' and redis.call('ZREVRANK', KEYS[1], name)
  or redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
return {score, ahead, redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score), redis.call('ZCARD', KEYS[1])}`,
);
