/**
 * A session in the engine is a hash: a field per top-level key of its data, each the JSON of the value, and the field
 * '#': its version, or 'x' when it was destroyed. A key that begins with '#' has one more in front.
 *
 * Why fields. Two requests of one session change different keys nearly always. What a request changed is known
 * without the shared tier (the fields it loaded against those it saves), so a save is one atomic step that writes
 * those fields on top of whatever stands there now: a three-way merge without a loop. Merging whole texts (read,
 * merge, compare and set, repeat) needs more trips the more it is needed; merging without the loaded base takes back
 * what others deleted, and loses what they added.
 *
 * Why the tombstone is the session's own key: what removes one removes the other, in the same step.
 */
import { script } from '../far/script.ts';

/**
 * KEYS 1 session
 * ARGV 1 version loaded, '' for none: what stands there is replaced; 2 time to live in ms, 0 to keep the present one;
 *      3 most bytes; 4 number of removed fields; then those; then field, value of each written one
 * Reply 'ok', version now, 1 if another save came between
 *       'destroyed' | 'gone' (it had been there, and has expired or was lost) | 'size'
 */
export const saveScript = script(
  'sessionSave',
  `local v = redis.call('HGET', KEYS[1], '#')
if v == 'x' then return {'destroyed'} end
local known = ARGV[1] ~= ''
if known and not v then return {'gone'} end
local first = 5 + tonumber(ARGV[4])
local merged = 0
if known and v ~= ARGV[1] then
  merged = 1
  local mine, size = {['#'] = true}, 0
  for i = 5, first - 1 do mine[ARGV[i]] = true end
  for i = first, #ARGV, 2 do
    mine[ARGV[i]] = true
    size = size + #ARGV[i] + #ARGV[i + 1]
  end
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if not mine[all[i]] then size = size + #all[i] + #all[i + 1] end
  end
  if size > tonumber(ARGV[3]) then return {'size'} end
elseif not known and v then
  redis.call('DEL', KEYS[1])
end
if first > 5 then redis.call('HDEL', KEYS[1], unpack(ARGV, 5, first - 1)) end
local version = string.format('%.0f', (v or 0) + 1)
redis.call('HSET', KEYS[1], '#', version, unpack(ARGV, first))
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {'ok', version, merged}`,
);

/** KEYS 1 session; ARGV 1 time to live in ms; reply 1, or 0 when there is no such session */
export const touchScript = script(
  'sessionTouch',
  `local v = redis.call('HGET', KEYS[1], '#')
if not v or v == 'x' then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])`,
);

/** KEYS 1 session; ARGV 1 how long no save may bring it back, ms; reply 1 if there was one */
export const destroyScript = script(
  'sessionDestroy',
  `local v = redis.call('HGET', KEYS[1], '#')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], '#', 'x')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if v and v ~= 'x' then return 1 end
return 0`,
);

/**
 * KEYS 1 any of the partition; ARGV 1 cursor, 2 pattern, 3 keys to look at; reply next cursor, keys of sessions.
 * A key may come twice, as with SCAN.
 */
export const pageScript = script(
  'sessionPage',
  `local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local out = {page[1]}
for i = 1, #page[2] do
  local v = redis.call('HGET', page[2][i], '#')
  if v and v ~= 'x' then out[#out + 1] = page[2][i] end
end
return out`,
);
