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
 *
 * Tags. What a value is tagged with is known only after the load, so a token can't name the tags' generations.
 * It carries one number instead, the partition's count t of tag invalidations; each moves t and writes it into
 * its tag's record. A fill is accepted iff no record of its tags is beyond the token's t (or, for those that the
 * feed invalidated, beyond the token's W). Entries of a tag are listed in a set and removed with it, so a read
 * pays nothing for tags. (Stamping an entry with its tags' epochs after the load is how tags are usually done:
 * an invalidation during the load is then lost.)
 *
 * Strict writers announce a transaction before its commit: field p<offset> of the state lists transactions that
 * will have changed a key of the bucket. While there is one, nothing is filled there.
 */
import { bucketCount, stampBytes, tagBucketCount } from './partition.ts';
import {
  later,
  noteLargest,
  release,
  removeTagged,
  type Script,
  script,
  takeLease,
  verdict,
} from './script.ts';

export type { Script };

/** Bytes of the table of stamps, and of the table of tags' stamps. */
const stampsLength = bucketCount * stampBytes;
const tagStampsLength = tagBucketCount * stampBytes;

/**
 * A second look at a key that plain MGET missed, and the token or the lease if it is still missing.
 *
 * KEYS 1 value, 2 lease, 3 state, 4 stamps, 5 beat
 * ARGV 1 offset of the bucket, 2 owner of the lease, 3 its length in ms, 4 '1' to ignore the present value,
 *      5 a watermark that the reader took from the database itself, or '', 6 hash of the definition, see voids.ts
 * Reply 'none'                         the partition has no state: nothing can be kept
 *       'value', value, beat           somebody filled it meanwhile
 *       'invisible', W                 a fill would be refused until W advances: wait for that
 *       'lease', epoch, W, gen, t      load now; this is the token
 *       'busy', owner                  another process loads; it will publish a notice, see `release`
 */
export const acquireScript = script(
  'acquire',
  `${later}
local s = redis.call('HMGET', KEYS[3], 'e', 'w', 'f', 't', 'p' .. ARGV[1], 'v')
if not s[1] then return {'none'} end
if ARGV[4] ~= '1' then
  local pair = redis.call('MGET', KEYS[1], KEYS[5])
  if pair[1] and string.sub(pair[1], 5, 16) == s[1] then return {'value', pair[1], pair[2] or ''} end
end
${takeLease}`,
);

/**
 * KEYS 1 value, 2 lease, 3 state, 4 stamps; with tags also 5 tags' stamps, 6 list of tag sets, 7 ... a set a tag
 * ARGV 1 offset of the bucket, 2 epoch, 3 W of the token, 4 generation, 5 owner, 6 entry, 7 time to live in ms,
 *      8 PUBLISH or SPUBLISH, 9 channel, 10 notice; with tags also 11 t of the token, 12 full key, 13 ... offset
 *      of each tag
 * Reply 'ok', or why it was refused: 'none', 'epoch', 'floor', 'stamp', 'generation', 'pending', 'tag'
 * Either way the lease is given back, and processes that wait for it are told.
 *
 * A tag's set has no time to live, for it must not be evicted before its entries. The list knows when the last
 * entry of each set has expired; every fill with tags clears away up to two such sets.
 */
export const fillScript = script(
  'fill',
  `${later}${release}${verdict}
local answer = verdict(13)
if answer == 'ok' then
  redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[7])
  if #KEYS > 4 then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local expiry = now + ARGV[7]
    for i = 7, #KEYS do
      redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. string.format('%.0f', now))
      redis.call('ZADD', KEYS[i], string.format('%.0f', expiry), ARGV[12])
      redis.call('ZADD', KEYS[6], 'GT', string.format('%.0f', expiry), KEYS[i])
    end
    local over = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', '(' .. string.format('%.0f', now), 'LIMIT', 0, 2)
    for i = 1, #over do
      redis.call('UNLINK', over[i])
      redis.call('ZREM', KEYS[6], over[i])
    end
  end
end
release(KEYS[2], ARGV[5], ARGV[8], ARGV[9], ARGV[10])
return answer`,
);

/**
 * Gives a lease back without a fill. The notice says why: 'F <key>', or 'X <owner> … <error>' when the loader failed.
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
 * Invalidates a tag: moves its record, so that no load that is under way can bring it back, and removes up to a
 * thousand of its entries. To be repeated while some are left. A table of tags' stamps that was evicted stays away,
 * so that fills with tags are refused: a new one would not have the other tags' records.
 *
 * KEYS 1 state, 2 tags' stamps, 3 the tag's set
 * ARGV 1 PUBLISH or SPUBLISH, 2 channel, 3 offset of the tag, 4 hash tag of the partition, with its braces,
 *      5 number to stamp it with, as `stamp` does, or ''
 * Reply entries left, then the full keys of those removed
 */
export const invalidateTagScript = script(
  'invalidateTag',
  `${later}${noteLargest}${removeTagged}
local hi, lo
if ARGV[5] ~= '' then hi, lo = noteLargest(KEYS[1], ARGV[5]) end
if redis.call('HEXISTS', KEYS[1], 'e') == 1 and redis.call('STRLEN', KEYS[2]) == ${tagStampsLength} then
  local t = redis.call('HINCRBY', KEYS[1], 't', 1)
  redis.call('SETRANGE', KEYS[2], ARGV[3] + 8, struct.pack('>I4', t))
  if hi then
    local ohi, olo = struct.unpack('>I4I4', redis.call('GETRANGE', KEYS[2], ARGV[3], ARGV[3] + 7))
    if later(hi, lo, ohi, olo) then redis.call('SETRANGE', KEYS[2], ARGV[3], struct.pack('>I4I4', hi, lo)) end
  end
end
local members, left = removeTagged(KEYS[1], KEYS[3], ARGV[4], ARGV[1], ARGV[2])
return {left, unpack(members)}`,
);

/**
 * Invalidation by events that have no position. They are stamped with N, the number of a transaction that began
 * after the event was received: whoever changed the row has a smaller one. A load whose snapshot has no
 * transaction below N in progress has seen the change, also if the event came before its commit.
 *
 * KEYS 1 state, 2 stamps, then value and lease of each key
 * ARGV 1 N, 2 PUBLISH or SPUBLISH, 3 channel, 4 JSON array of the keys, 5 ... offset of each key's bucket
 * Reply sequence number, 0 when the partition has no state
 */
export const stampScript = script(
  'stamp',
  `${later}${noteLargest}
local hi, lo = noteLargest(KEYS[1], ARGV[1])
redis.call('UNLINK', unpack(KEYS, 3))
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  redis.call(ARGV[2], ARGV[3], 'I 0 ' .. ARGV[4])
  return 0
end
for i = 5, #ARGV do
  local record = redis.call('GETRANGE', KEYS[2], ARGV[i], ARGV[i] + 7)
  if #record == 8 then
    local ohi, olo = struct.unpack('>I4I4', record)
    if later(hi, lo, ohi, olo) then redis.call('SETRANGE', KEYS[2], ARGV[i], struct.pack('>I4I4', hi, lo)) end
  end
end
local q = redis.call('HINCRBY', KEYS[1], 'q', 1)
redis.call(ARGV[2], ARGV[3], 'I ' .. q .. ' ' .. ARGV[4])
return q`,
);

/**
 * A strict writer's announcement, before its commit: removes entries and leases, refuses the loads that are under
 * way, and notes the transaction.
 *
 * KEYS 1 state, 2 stamps, then value and lease of each key
 * ARGV 1 transaction, 2 PUBLISH or SPUBLISH, 3 channel, 4 JSON array of the keys, 5 ... offset of each key's bucket
 * Reply 'ok' | 'none' (no state: nothing is kept there, but nothing could be announced either)
 */
export const announceScript = script(
  'announce',
  `if redis.call('HEXISTS', KEYS[1], 'e') == 0 then return 'none' end
redis.call('UNLINK', unpack(KEYS, 3))
for i = 5, #ARGV do
  local at = ARGV[i] + 8
  local record = redis.call('GETRANGE', KEYS[2], at, at + 3)
  if #record < 4 then return 'none' end
  redis.call('SETRANGE', KEYS[2], at, struct.pack('>I4', (struct.unpack('>I4', record) + 1) % 4294967296))
  local field = 'p' .. ARGV[i]
  local present = redis.call('HGET', KEYS[1], field)
  redis.call('HSET', KEYS[1], field, (present and present .. ' ' or '') .. ARGV[1])
end
local q = redis.call('HINCRBY', KEYS[1], 'q', 1)
redis.call(ARGV[2], ARGV[3], 'I ' .. q .. ' ' .. ARGV[4])
return 'ok'`,
);

/**
 * The announced transactions of a partition.
 * KEYS 1 state; reply offset of a bucket, its transactions with spaces between, and so on
 */
export const announcedScript = script(
  'announced',
  `local found = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == 'p' then
    found[#found + 1] = string.sub(all[i], 2)
    found[#found + 1] = all[i + 1]
  end
end
return found`,
);

/**
 * Takes announced transactions back that have ended: their changes are stamped, or they were rolled back.
 * KEYS 1 state; ARGV pairs: offset of a bucket, transaction; reply 'ok'
 */
export const withdrawScript = script(
  'withdraw',
  `for i = 1, #ARGV, 2 do
  local field = 'p' .. ARGV[i]
  local rest = {}
  for each in string.gmatch(redis.call('HGET', KEYS[1], field) or '', '%d+') do
    if each ~= ARGV[i + 1] then rest[#rest + 1] = each end
  end
  if #rest == 0 then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HSET', KEYS[1], field, table.concat(rest, ' '))
  end
end
return 'ok'`,
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
if not s[1] or redis.call('STRLEN', KEYS[2]) < ${stampsLength} then return {'none'} end
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
 * The feed's invalidation of a tag, before the step that says that its commit is applied. To be repeated while
 * some are left.
 *
 * KEYS 1 state, 2 tags' stamps, 3 the tag's set
 * ARGV 1 epoch, 2 position that the feed believes applied, 3 offset of the tag, 4 position high, 5 low,
 *      6 PUBLISH or SPUBLISH, 7 channel, 8 hash tag of the partition, with its braces
 * Reply 'ok', entries left | 'mismatch', epoch, applied | 'none'
 */
export const applyTagScript = script(
  'applyTag',
  `${later}${removeTagged}
local s = redis.call('HMGET', KEYS[1], 'e', 'a')
local record = redis.call('GETRANGE', KEYS[2], ARGV[3], ARGV[3] + 7)
if not s[1] or #record < 8 then return {'none'} end
if s[1] ~= ARGV[1] or s[2] ~= ARGV[2] then return {'mismatch', s[1], s[2]} end
local hi, lo = tonumber(ARGV[4]), tonumber(ARGV[5])
local ohi, olo = struct.unpack('>I4I4', record)
if later(hi, lo, ohi, olo) then redis.call('SETRANGE', KEYS[2], ARGV[3], struct.pack('>I4I4', hi, lo)) end
local _, left = removeTagged(KEYS[1], KEYS[3], ARGV[8], ARGV[6], ARGV[7])
return {'ok', left}`,
);

/**
 * The feed makes a whole definition void up to a position, before the step that says that its commit is applied.
 *
 * KEYS 1 state, 2 beat
 * ARGV 1 epoch, 2 position that the feed believes applied, 3 hash of the definition, 4 position (hex),
 *      5 PUBLISH or SPUBLISH, 6 channel
 * Reply 'ok' | 'mismatch', epoch, applied | 'none'
 */
export const voidScript = script(
  'void',
  `${later}
local s = redis.call('HMGET', KEYS[1], 'e', 'a', 'v')
if not s[1] then return {'none'} end
if s[1] ~= ARGV[1] or s[2] ~= ARGV[2] then return {'mismatch', s[1], s[2]} end
local v = ''
local known = s[3] or ''
local position = ARGV[4]
local hi, lo = halves(position)
for i = 1, #known, 24 do
  if string.sub(known, i, i + 7) == ARGV[3] then
    local ohi, olo = halves(string.sub(known, i + 8, i + 23))
    if later(ohi, olo, hi, lo) then position = string.sub(known, i + 8, i + 23) end
  else
    v = v .. string.sub(known, i, i + 23)
  end
end
v = v .. ARGV[3] .. position
local q = redis.call('HINCRBY', KEYS[1], 'q', 1)
redis.call('HSET', KEYS[1], 'v', v)
local beat = redis.call('GET', KEYS[2])
if beat then redis.call('SET', KEYS[2], string.sub(beat, 1, 40) .. v) end
redis.call(ARGV[5], ARGV[6], 'V ' .. q .. ' ' .. v)
return {'ok'}`,
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
 * KEYS 1 state, 2 beat, 3 stamps, 4 tags' stamps
 * ARGV 1 epoch, 2 position believed applied, 3 position applied now, 4 W, 5 h (ms, hex), 6 greatest age of h in
 *      ms (a guard against the clock of another machine), 7 PUBLISH or SPUBLISH, 8 channel
 * Reply 'ok', sequence number, fields of the state | 'mismatch', epoch, applied | 'none' | 'clock', engine's time
 */
export const beatScript = script(
  'beat',
  `${later}
local s = redis.call('HMGET', KEYS[1], 'e', 'a', 'w', 'q', 'v')
if not s[1] or redis.call('STRLEN', KEYS[3]) < ${stampsLength} then return {'none'} end
if redis.call('STRLEN', KEYS[4]) < ${tagStampsLength} then return {'none'} end
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
local beat = ARGV[1] .. ARGV[5] .. ARGV[3] .. (s[5] or '')
redis.call('SET', KEYS[2], beat)
redis.call(ARGV[7], ARGV[8], 'B ' .. s[4] .. ' ' .. beat)
return {'ok', s[4], string.format('%.0f', redis.call('HLEN', KEYS[1]))}`,
);

/**
 * Begins an epoch: every entry and every token of an earlier one is void. Its stamps are gone, so the floor is not
 * below the largest number that events were stamped with.
 *
 * KEYS 1 state, 2 stamps, 3 beat, 4 tags' stamps
 * ARGV 1 epoch expected ('' = no state), 2 new epoch, 3 applied, 4 W, 5 floor, 6 source, 7 PUBLISH or SPUBLISH,
 *      8 channel
 * Reply 'ok' | 'changed', epoch found
 */
export const initScript = script(
  'init',
  `${later}
local e = redis.call('HGET', KEYS[1], 'e')
if (e or '') ~= ARGV[1] then return {'changed', e or ''} end
local floor = ARGV[5]
local largest = redis.call('HGET', KEYS[1], 'm')
if largest then
  local fhi, flo = halves(floor)
  local lhi, llo = halves(largest)
  if later(lhi, llo, fhi, flo) then floor = largest end
end
redis.call('DEL', KEYS[2], KEYS[4])
redis.call('SETRANGE', KEYS[2], ${stampsLength - 1}, '\\0')
redis.call('SETRANGE', KEYS[4], ${tagStampsLength - 1}, '\\0')
redis.call('HDEL', KEYS[1], 'v')
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'a', ARGV[3], 'w', ARGV[4], 'f', floor, 's', ARGV[6])
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
if redis.call('STRLEN', KEYS[2]) < ${stampsLength} then return {s[1] or '', '', '', '', '', ''} end
return {s[1] or '', s[2] or '', s[3] or '', s[4] or '', s[5] or '', s[6] or ''}`,
);
