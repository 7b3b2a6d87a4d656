/** Sorted sets: kept as a map, ordered by score and then by bytes when asked. */
import {
  bytesOf,
  type Commands,
  double,
  integer,
  name,
  rangeOf,
  reads,
  text,
  word,
  writes,
} from './command.ts';
import type { Keyspace } from './keyspace.ts';
import { EngineError, type Reply, syntaxError } from './reply.ts';

type Member = readonly [member: string, score: number];

function scores(keys: Keyspace, key: Buffer): Map<string, number> {
  return keys.typed(name(key), 'zset')?.scores ?? new Map();
}

function ordered(keys: Keyspace, key: Buffer): Member[] {
  return [...scores(keys, key)].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : a > b ? 1 : 0));
}

function scoreText(score: number): Buffer {
  if (Number.isFinite(score)) return text(score);
  return text(score > 0 ? 'inf' : '-inf');
}

/** ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member … */
function add(keys: Keyspace, [key, ...rest]: readonly Buffer[]): Reply {
  const flags = new Set<string>();
  let at = 0;
  for (; /^(NX|XX|GT|LT|CH|INCR)$/.test(word(rest[at])); at += 1) flags.add(word(rest[at]));
  const pairs = rest.slice(at);
  if (pairs.length === 0 || pairs.length % 2 !== 0) throw syntaxError();
  if (flags.has('INCR') && pairs.length !== 2) {
    throw new EngineError('ERR INCR option supports a single increment-element pair');
  }
  const wanted = pairs.flatMap((score, i) =>
    i % 2 === 0 ? [[double(score), name(pairs[i + 1]!)] as const] : [],
  );
  const kept = keys.ensure(name(key!), 'zset', () => ({ type: 'zset', scores: new Map() })).scores;
  let added = 0;
  let changed = 0;
  let last: number | null = null;
  for (const [given, member] of wanted) {
    const present = kept.get(member);
    const score = flags.has('INCR') ? (present ?? 0) + given : given;
    last = null;
    if (present === undefined ? flags.has('XX') : flags.has('NX')) continue;
    if (present !== undefined && flags.has('GT') && score <= present) continue;
    if (present !== undefined && flags.has('LT') && score >= present) continue;
    kept.set(member, score);
    last = score;
    if (present === undefined) added += 1;
    else if (present !== score) changed += 1;
  }
  if (kept.size === 0) keys.delete(name(key!));
  if (flags.has('INCR')) return last === null ? null : scoreText(last);
  return flags.has('CH') ? added + changed : added;
}

/** Does a score lie beyond this end, which `(` excludes? */
function bound(end: Buffer | undefined): { readonly value: number; readonly open: boolean } {
  const given = end?.toString('latin1') ?? '';
  const open = given.startsWith('(');
  return { value: double(Buffer.from(open ? given.slice(1) : given)), open };
}

function within(members: readonly Member[], least: Buffer | undefined, most: Buffer | undefined): Member[] {
  const low = bound(least);
  const high = bound(most);
  return members.filter(
    ([, score]) =>
      (low.open ? score > low.value : score >= low.value) &&
      (high.open ? score < high.value : score <= high.value),
  );
}

function range(
  keys: Keyspace,
  [key, start, stop, ...options]: readonly Buffer[],
  preset: readonly string[],
): Reply {
  const flags = new Set(preset);
  let limit: readonly [number, number] | undefined;
  for (let i = 0; i < options.length; i += 1) {
    const option = word(options[i]);
    if (option === 'LIMIT') limit = [integer(options[++i]), integer(options[++i])];
    else if (/^(REV|BYSCORE|WITHSCORES)$/.test(option)) flags.add(option);
    else throw syntaxError();
  }
  let members = ordered(keys, key!);
  if (flags.has('REV')) members.reverse();
  if (flags.has('BYSCORE')) {
    members = flags.has('REV') ? within(members, stop, start) : within(members, start, stop);
    if (limit !== undefined)
      members = members.slice(limit[0], limit[1] < 0 ? undefined : limit[0] + limit[1]);
  } else members = members.slice(...rangeOf(integer(start), integer(stop), members.length));
  return members.flatMap(([member, score]) =>
    flags.has('WITHSCORES') ? [bytesOf(member), scoreText(score)] : [bytesOf(member)],
  );
}

function remove(keys: Keyspace, key: Buffer, members: Iterable<string>): number {
  const kept = scores(keys, key);
  let count = 0;
  for (const member of members) if (kept.delete(member)) count += 1;
  if (kept.size === 0) keys.delete(name(key));
  return count;
}

function rank(keys: Keyspace, [key, member]: readonly Buffer[], reversed: boolean): Reply {
  const members = ordered(keys, key!);
  if (reversed) members.reverse();
  const at = members.findIndex(([each]) => each === name(member!));
  return at < 0 ? null : at;
}

export const sortedSetCommands: Commands = {
  ZADD: writes(3, ({ keys }, args) => add(keys, args)),
  ZINCRBY: writes(3, ({ keys }, [key, by, member]) => add(keys, [key!, text('INCR'), by!, member!])),
  ZREM: writes(2, ({ keys }, [key, ...members]) => remove(keys, key!, members.map(name))),
  ZSCORE: reads(2, ({ keys }, [key, member]) => {
    const score = scores(keys, key!).get(name(member!));
    return score === undefined ? null : scoreText(score);
  }),
  ZMSCORE: reads(2, ({ keys }, [key, ...members]) =>
    members.map((member) => {
      const score = scores(keys, key!).get(name(member));
      return score === undefined ? null : scoreText(score);
    }),
  ),
  ZCARD: reads(1, ({ keys }, [key]) => scores(keys, key!).size),
  ZCOUNT: reads(3, ({ keys }, [key, least, most]) => within(ordered(keys, key!), least, most).length),
  ZRANK: reads(2, ({ keys }, args) => rank(keys, args, false)),
  ZREVRANK: reads(2, ({ keys }, args) => rank(keys, args, true)),
  ZRANGE: reads(3, ({ keys }, args) => range(keys, args, [])),
  ZREVRANGE: reads(3, ({ keys }, args) => range(keys, args, ['REV'])),
  ZRANGEBYSCORE: reads(3, ({ keys }, args) => range(keys, args, ['BYSCORE'])),
  ZREVRANGEBYSCORE: reads(3, ({ keys }, args) => range(keys, args, ['BYSCORE', 'REV'])),
  ZREMRANGEBYSCORE: writes(3, ({ keys }, [key, least, most]) =>
    remove(
      keys,
      key!,
      within(ordered(keys, key!), least, most).map(([member]) => member),
    ),
  ),
  ZREMRANGEBYRANK: writes(3, ({ keys }, [key, start, stop]) => {
    const members = ordered(keys, key!);
    const [from, to] = rangeOf(integer(start), integer(stop), members.length);
    return remove(
      keys,
      key!,
      members.slice(from, to).map(([member]) => member),
    );
  }),
};
