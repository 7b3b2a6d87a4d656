/**
 * A script of the engine, and the pieces of Lua that several share.
 *
 * The pieces of the fill protocol are here so that every kind of entry, a text or a structure, is refused for the
 * same reasons: see scripts.ts for why they suffice.
 */
import { createHash } from 'node:crypto';

export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

export function script(name: string, source: string): Script {
  return { name, source, sha1: createHash('sha1').update(source).digest('hex') };
}

export const later = `
local function later(ahi, alo, bhi, blo) return ahi > bhi or (ahi == bhi and alo > blo) end
local function halves(hex) return tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16) end`;

export const release = `
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
 * A token and the lease, once nothing usable was found. Needs `later`, and `s`: e, w, f, t, p<offset> and v of the
 * state. KEYS 2 lease, 4 stamps; ARGV 1 offset of the bucket, 2 owner, 3 length in ms, 5 watermark or '', 6 hash of
 * the definition, see voids.ts.
 */
export const takeLease = `local record = redis.call('GETRANGE', KEYS[4], ARGV[1], ARGV[1] + 11)
if #record < 12 then return {'none'} end
local hi, lo, generation = struct.unpack('>I4I4I4', record)
local w = s[2]
local whi, wlo = halves(w)
if ARGV[5] ~= '' then
  local ohi, olo = halves(ARGV[5])
  if later(ohi, olo, whi, wlo) then w, whi, wlo = ARGV[5], ohi, olo end
end
local fhi, flo = halves(s[3])
local refused = s[5] or later(fhi, flo, whi, wlo) or later(hi, lo, whi, wlo)
local voids = s[6] or ''
for i = 1, #voids, 24 do
  if string.sub(voids, i, i + 7) == ARGV[6] then
    local vhi, vlo = halves(string.sub(voids, i + 8, i + 23))
    refused = refused or later(vhi, vlo, whi, wlo)
  end
end
if refused then return {'invisible', w} end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {'lease', s[1], w, string.format('%.0f', generation), s[4] or '0'}
end
local holder = redis.call('GET', KEYS[2])
if string.sub(holder, -1) == '!' then return {'busy', string.sub(holder, 1, -2)} end
redis.call('SET', KEYS[2], holder .. '!', 'KEEPTTL')
return {'busy', holder}`;

/**
 * May this fill be accepted? Needs `later`.
 * KEYS 3 state, 4 stamps, 5 tags' stamps; ARGV 1 offset of the bucket, 2 epoch, 3 W of the token, 4 generation; tags'
 * offsets begin at `firstTag`, with 11 as t of the token.
 */
export const verdict = `
local function verdict(firstTag)
  local s = redis.call('HMGET', KEYS[3], 'e', 'f', 'p' .. ARGV[1])
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
  if s[3] then return 'pending' end
  for i = firstTag, #ARGV do
    record = redis.call('GETRANGE', KEYS[5], ARGV[i], ARGV[i] + 11)
    if #record < 12 then return 'none' end
    hi, lo, generation = struct.unpack('>I4I4I4', record)
    if later(hi, lo, whi, wlo) or generation > tonumber(ARGV[11]) then return 'tag' end
  end
  return 'ok'
end`;

/**
 * Removes up to a thousand entries of a tag, with their leases, and tells near tiers.
 * Gives the full keys removed, and how many are left.
 */
export const removeTagged = `
local function removeTagged(state, set, hashTag, publish, channel)
  local members = redis.call('ZRANGE', set, 0, 999)
  if #members == 0 then return members, '0' end
  redis.call('ZREMRANGEBYRANK', set, 0, 999)
  local keys = {}
  for i = 1, #members do
    keys[2 * i - 1] = hashTag .. members[i]
    keys[2 * i] = hashTag .. '#l:' .. members[i]
  end
  redis.call('UNLINK', unpack(keys))
  local q = redis.call('HINCRBY', state, 'q', 1)
  redis.call(publish, channel, 'I ' .. q .. ' ' .. cjson.encode(members))
  return members, string.format('%.0f', redis.call('ZCARD', set))
end`;

/**
 * Remembers the largest number that events were stamped with, also where there is no state yet: an epoch that begins
 * forgets the stamps themselves. Gives the number's halves. Needs `later`.
 */
export const noteLargest = `
local function noteLargest(state, number)
  local hi, lo = halves(number)
  local known = redis.call('HGET', state, 'm')
  local khi, klo = 0, 0
  if known then khi, klo = halves(known) end
  if not known or later(hi, lo, khi, klo) then redis.call('HSET', state, 'm', number) end
  return hi, lo
end`;
