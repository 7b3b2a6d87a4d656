/**
 * A session in the engine is a text: a token of twelve characters, new with every save, then the JSON of its data; or
 * 'x' when it was destroyed. The tombstone is the session's own key: what removes one removes the other.
 *
 * A save compares the token that the request saw. Another one means that somebody saved in between: the request gets
 * what stands there, merges, and tries again. Sessions are read far more often than they collide, so reading is what
 * must be cheap: one text, one parse. (A hash with a field per key needs no second try; reading it cost twice the CPU.)
 */
import { script } from '../far/script.ts';

/**
 * KEYS 1 session; ARGV 1 token seen, '' for none: what stands there is replaced; 2 token and JSON; 3 time to live in
 * ms, 0 to keep the present one
 * Reply 'ok' | 'destroyed' | 'gone' (it had been there, and has expired or was lost) | a list of what stands there, when that is another's
 */
export const saveScript = script(
  'sessionSave',
  `local token = redis.call('GETRANGE', KEYS[1], 0, 11)
if token == 'x' then return 'destroyed' end
if token == string.sub(ARGV[2], 1, 12) then return 'ok' end
if ARGV[1] ~= '' then
  if token == '' then return 'gone' end
  if token ~= ARGV[1] then return {redis.call('GET', KEYS[1])} end
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 'ok'`,
);

/** KEYS 1 session; ARGV 1 time to live in ms; reply 1, or 0 when there is no such session */
export const touchScript = script(
  'sessionTouch',
  `if redis.call('STRLEN', KEYS[1]) < 12 then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])`,
);

/** KEYS 1 session; ARGV 1 how long no save may bring it back, ms; reply 'ok' */
export const destroyScript = script(
  'sessionDestroy',
  `redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1])
return 'ok'`,
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
  if redis.call('STRLEN', page[2][i]) >= 12 then out[#out + 1] = page[2][i] end
end
return out`,
);
