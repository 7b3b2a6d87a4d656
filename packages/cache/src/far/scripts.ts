/**
 * The fill protocol, as it runs inside the engine.
 *
 * Words: W is the watermark: every commit up to it is applied to the engine AND visible to new readers of the
 * database. A stamp is the highest position of an invalidation applied to a bucket of keys. A generation counts
 * the invalidations of a bucket that have no position, those of applications. A token is (W, epoch, generation)
 * as a miss saw them.
 *
 * Algorithm. A miss takes a token, then the loader reads the database, then the fill is accepted only if the
 * state and the stamp table exist, the epoch is the token's, the token's W has reached the floor, the bucket's
 * stamp is not beyond the token's W, and the generation is the token's.
 *
 * Why no accepted entry lacks a change T whose invalidation was applied: if it was applied before the fill,
 * then stamp >= position(T), so W of the token >= position(T), so T was visible when the token was taken, and
 * the loader began after that. (Without a position: the generation moved unless the invalidation came before
 * the token, and the application had committed before it invalidated.) If it was applied after the fill, it
 * removed the entry. Scripts are atomic, stamps never fall within an epoch.
 *
 * Versions that failed. Comparing the log position that the loader reads from the database: a commit is in the
 * log, flushed and streamed before it is visible, so the "newer" token can go with the older row. A lease that
 * an invalidation voids: the change event can arrive first, a new lease is taken after it, and the loader still
 * reads the old row. Both go wrong in per cents of fills, not in theory only.
 *
 * Positions are compared as two 32-bit halves: Lua's numbers are doubles, and its string order is the locale's.
 *
 * A stamp record is 12 bytes, big-endian: position high, position low, generation.
 */
import { createHash } from 'node:crypto';

export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

function script(name: string, source: string): Script {
  return { name, source, sha1: createHash('sha1').update(source).digest('hex') };
}

const later = `
local function later(ahi, alo, bhi, blo) return ahi > bhi or (ahi == bhi and alo > blo) end
local function halves(hex) return tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16) end`;

const release = `
local function release(lease, owner, publish, channel, notice)
  local holder = redis.call('GET', lease)
  if holder == owner then
    redis.call('DEL', lease)
  elseif holder == owner .. '!' then
    redis.call('DEL', lease)
    redis.call(publish, channel, notice)
  end
end`;

/**
 * A second look at a key that plain MGET missed, and the token or the lease if it is still missing.
 *
 * KEYS 1 value, 2 lease, 3 state, 4 stamps, 5 beat
 * ARGV 1 offset of the bucket, 2 owner of the lease, 3 its length in ms, 4 '1' to ignore the present value
 * Reply 'none'                      the partition has no state: nothing can be kept
 *       'value', value, beat        somebody filled it meanwhile
 *       'invisible', W              a fill would be refused until W advances: wait for that
 *       'lease', epoch, W, gen      load now; this is the token
 *       'busy'                      another process loads; it will publish 'F <key>'
 */
export const acquireScript = script(
  'acquire',
  `${later}
local s = redis.call('HMGET', KEYS[3], 'e', 'w', 'f')
if not s[1] then return {'none'} end
if ARGV[4] ~= '1' then
  local pair = redis.call('MGET', KEYS[1], KEYS[5])
  if pair[1] and string.sub(pair[1], 5, 16) == s[1] then return {'value', pair[1], pair[2] or ''} end
end
local record = redis.call('GETRANGE', KEYS[4], ARGV[1], ARGV[1] + 11)
if #record < 12 then return {'none'} end
local hi, lo, generation = struct.unpack('>I4I4I4', record)
local whi, wlo = halves(s[2])
local fhi, flo = halves(s[3])
if later(fhi, flo, whi, wlo) or later(hi, lo, whi, wlo) then return {'invisible', s[2]} end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {'lease', s[1], s[2], string.format('%.0f', generation)}
end
local holder = redis.call('GET', KEYS[2])
if string.sub(holder, -1) ~= '!' then redis.call('SET', KEYS[2], holder .. '!', 'KEEPTTL') end
return {'busy'}`,
);

/**
 * KEYS 1 value, 2 lease, 3 state, 4 stamps
 * ARGV 1 offset of the bucket, 2 epoch, 3 W of the token, 4 generation, 5 owner, 6 entry, 7 time to live in ms,
 *      8 PUBLISH or SPUBLISH, 9 channel, 10 notice
 * Reply 'ok', or why it was refused: 'none', 'epoch', 'floor', 'stamp', 'generation'
 * Either way the lease is given back, and processes that wait for it are told.
 */
export const fillScript = script(
  'fill',
  `${later}${release}
local function verdict()
  local s = redis.call('HMGET', KEYS[3], 'e', 'f')
  if not s[1] then return 'none' end
  if s[1] ~= ARGV[2] then return 'epoch' end
  local record = redis.call('GETRANGE', KEYS[4], ARGV[1], ARGV[1] + 11)
  if #record < 12 then return 'none' end
  local whi, wlo = halves(ARGV[3])
  local fhi, flo = halves(s[2])
  if later(fhi, flo, whi, wlo) then return 'floor' end
  local hi, lo, generation = struct.unpack('>I4I4I4', record)
  if later(hi, lo, whi, wlo) then return 'stamp' end
  if string.format('%.0f', generation) ~= ARGV[4] then return 'generation' end
  return 'ok'
end
local answer = verdict()
if answer == 'ok' then redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[7]) end
release(KEYS[2], ARGV[5], ARGV[8], ARGV[9], ARGV[10])
return answer`,
);

/**
 * Gives a lease back without a fill (the loader failed).
 * KEYS 1 lease; ARGV 1 owner, 2 PUBLISH or SPUBLISH, 3 channel, 4 notice; reply 'ok'
 */
export const releaseScript = script(
  'release',
  `${release}
release(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 'ok'`,
);

/**
 * Keeps a lease while its loader is still at work.
 * KEYS 1 lease; ARGV 1 owner, 2 length in ms; reply 1, or 0 when the lease is not ours any more
 */
export const renewScript = script(
  'renew',
  `local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or holder == ARGV[1] .. '!' then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`,
);

/**
 * An application's invalidation: removes entries and leases, moves the buckets' generations, tells near tiers.
 * The message leaves in the same step as the removal, so a near tier hears of it after the fact, never before.
 *
 * KEYS 1 state, 2 stamps, then value and lease of each key
 * ARGV 1 PUBLISH or SPUBLISH, 2 channel, 3 JSON array of the keys, 4 ... offset of each key's bucket
 * Reply sequence number, 0 when the partition has no state
 */
export const invalidateScript = script(
  'invalidate',
  `redis.call('UNLINK', unpack(KEYS, 3))
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  redis.call(ARGV[1], ARGV[2], 'I 0 ' .. ARGV[3])
  return 0
end
for i = 4, #ARGV do
  local at = ARGV[i] + 8
  local record = redis.call('GETRANGE', KEYS[2], at, at + 3)
  if #record == 4 then
    redis.call('SETRANGE', KEYS[2], at, struct.pack('>I4', (struct.unpack('>I4', record) + 1) % 4294967296))
  end
end
local q = redis.call('HINCRBY', KEYS[1], 'q', 1)
redis.call(ARGV[1], ARGV[2], 'I ' .. q .. ' ' .. ARGV[3])
return q`,
);

/**
 * The feed's invalidation: raises stamps, removes entries and leases, records how far the feed is applied.
 *
 * KEYS 1 state, 2 stamps, then value and lease of each key
 * ARGV 1 epoch, 2 position that the feed believes applied, 3 position applied after this call,
 *      4 PUBLISH or SPUBLISH, 5 channel, 6 JSON array of the keys, 7 ... per key: offset, position high, low
 * Reply 'ok', sequence number | 'mismatch', epoch, applied (a failover lost something) | 'none' (no state)
 */
export const applyScript = script(
  'apply',
  `${later}
local s = redis.call('HMGET', KEYS[1], 'e', 'a')
if not s[1] or redis.call('STRLEN', KEYS[2]) < 786432 then return {'none'} end
if s[1] ~= ARGV[1] or s[2] ~= ARGV[2] then return {'mismatch', s[1], s[2]} end
for i = 7, #ARGV, 3 do
  local offset, hi, lo = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local ohi, olo = struct.unpack('>I4I4', redis.call('GETRANGE', KEYS[2], offset, offset + 7))
  if later(hi, lo, ohi, olo) then redis.call('SETRANGE', KEYS[2], offset, struct.pack('>I4I4', hi, lo)) end
end
if #KEYS > 2 then redis.call('UNLINK', unpack(KEYS, 3)) end
redis.call('HSET', KEYS[1], 'a', ARGV[3])
local q = redis.call('HINCRBY', KEYS[1], 'q', 1)
redis.call(ARGV[4], ARGV[5], 'I ' .. q .. ' ' .. ARGV[6])
return {'ok', q}`,
);

/**
 * Publishes a watermark. Never lowers it.
 * KEYS 1 state; ARGV 1 epoch, 2 W, 3 PUBLISH or SPUBLISH, 4 channel; reply 'ok' | 'mismatch' | 'none'
 */
export const watermarkScript = script(
  'watermark',
  `${later}
local s = redis.call('HMGET', KEYS[1], 'e', 'w', 'q')
if not s[1] then return 'none' end
if s[1] ~= ARGV[1] then return 'mismatch' end
local hi, lo = halves(ARGV[2])
local whi, wlo = halves(s[2])
if later(hi, lo, whi, wlo) then redis.call('HSET', KEYS[1], 'w', ARGV[2]) end
redis.call(ARGV[3], ARGV[4], 'W ' .. s[3])
return 'ok'`,
);

/**
 * The feed's heartbeat: everything that was committed before the engine's time h is applied here.
 *
 * KEYS 1 state, 2 beat, 3 stamps
 * ARGV 1 epoch, 2 position believed applied, 3 position applied now, 4 W, 5 h (ms, hex), 6 greatest age of h in
 *      ms (a guard against the clock of another machine), 7 PUBLISH or SPUBLISH, 8 channel
 * Reply 'ok', sequence number | 'mismatch', epoch, applied | 'none' | 'clock', the engine's time
 */
export const beatScript = script(
  'beat',
  `${later}
local s = redis.call('HMGET', KEYS[1], 'e', 'a', 'w', 'q')
if not s[1] or redis.call('STRLEN', KEYS[3]) < 786432 then return {'none'} end
if s[1] ~= ARGV[1] or s[2] ~= ARGV[2] then return {'mismatch', s[1], s[2]} end
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local age = now - tonumber(ARGV[5], 16)
if age < 0 or age > tonumber(ARGV[6]) then return {'clock', string.format('%.0f', now)} end
local hi, lo = halves(ARGV[4])
local whi, wlo = halves(s[3])
local w = s[3]
if later(hi, lo, whi, wlo) then w = ARGV[4] end
redis.call('HSET', KEYS[1], 'a', ARGV[3], 'w', w)
local beat = ARGV[1] .. ARGV[5] .. ARGV[3]
redis.call('SET', KEYS[2], beat)
redis.call(ARGV[7], ARGV[8], 'B ' .. s[4] .. ' ' .. beat)
return {'ok', s[4]}`,
);

/**
 * Begins an epoch: every entry and every token of an earlier one is void.
 *
 * KEYS 1 state, 2 stamps, 3 beat
 * ARGV 1 epoch expected ('' = no state), 2 new epoch, 3 applied, 4 W, 5 floor, 6 source, 7 PUBLISH or SPUBLISH,
 *      8 channel
 * Reply 'ok' | 'changed', epoch found
 */
export const initScript = script(
  'init',
  `local e = redis.call('HGET', KEYS[1], 'e')
if (e or '') ~= ARGV[1] then return {'changed', e or ''} end
redis.call('DEL', KEYS[2])
redis.call('SETRANGE', KEYS[2], 786431, '\\0')
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'a', ARGV[3], 'w', ARGV[4], 'f', ARGV[5], 's', ARGV[6])
local q = redis.call('HINCRBY', KEYS[1], 'q', 1)
redis.call('SET', KEYS[3], ARGV[2] .. '000000000000' .. ARGV[3])
redis.call(ARGV[7], ARGV[8], 'E ' .. q .. ' ' .. ARGV[2])
return {'ok'}`,
);

/**
 * A sample of the engine's clock, and the beat as it stands.
 * KEYS 1 state, 2 beat; reply seconds, microseconds, beat or ''
 */
export const clockScript = script(
  'clock',
  `local t = redis.call('TIME')
return {t[1], t[2], redis.call('GET', KEYS[2]) or ''}`,
);

/**
 * Proves to subscribers that they have heard everything that was published before.
 * KEYS 1 state; ARGV 1 PUBLISH or SPUBLISH, 2 channel; reply sequence number
 */
export const pulseScript = script(
  'pulse',
  `local q = redis.call('HGET', KEYS[1], 'q') or '0'
local t = redis.call('TIME')
redis.call(ARGV[1], ARGV[2], 'P ' .. q .. ' ' .. string.format('%.0f', math.floor(t[1] * 1000 + t[2] / 1000)))
return q`,
);

/** KEYS 1 state, 2 stamps; reply epoch, applied, W, floor, sequence, source ('' where missing) */
export const stateScript = script(
  'state',
  `local s = redis.call('HMGET', KEYS[1], 'e', 'a', 'w', 'f', 'q', 's')
if redis.call('STRLEN', KEYS[2]) < 786432 then return {s[1] or '', '', '', '', '', ''} end
return {s[1] or '', s[2] or '', s[3] or '', s[4] or '', s[5] or '', s[6] or ''}`,
);
