/** Hashes, sets and lists. */
import { bytesOf, type Commands, integer, name, rangeOf, reads, text, writes } from './command.ts';
import type { Keyspace } from './keyspace.ts';
import { EngineError, ok, type Reply } from './reply.ts';
import { bulk } from './string-commands.ts';

function hash(keys: Keyspace, key: Buffer): ReadonlyMap<string, Buffer> {
  return keys.typed(name(key), 'hash')?.fields ?? new Map();
}

function ownHash(keys: Keyspace, key: Buffer): Map<string, Buffer> {
  return keys.ensure(name(key), 'hash', () => ({ type: 'hash', fields: new Map() })).fields;
}

function setFields(keys: Keyspace, [key, ...pairs]: readonly Buffer[]): number {
  if (pairs.length % 2 !== 0) throw new EngineError("ERR wrong number of arguments for 'hset' command");
  const fields = ownHash(keys, key!);
  const before = fields.size;
  for (let i = 0; i < pairs.length; i += 2) fields.set(name(pairs[i]!), Buffer.from(pairs[i + 1]!));
  return fields.size - before;
}

function set(keys: Keyspace, key: Buffer): ReadonlySet<string> {
  return keys.typed(name(key), 'set')?.members ?? new Set();
}

function list(keys: Keyspace, key: Buffer): Buffer[] {
  return keys.typed(name(key), 'list')?.items ?? [];
}

function push(keys: Keyspace, [key, ...items]: readonly Buffer[], end: 'left' | 'right'): Reply {
  const kept = keys.ensure(name(key!), 'list', () => ({ type: 'list', items: [] }));
  for (const item of items) end === 'left' ? kept.items.unshift(item) : kept.items.push(item);
  return kept.items.length;
}

function pop(keys: Keyspace, [key, count]: readonly Buffer[], end: 'left' | 'right'): Reply {
  const items = list(keys, key!);
  if (items.length === 0) return null;
  const wanted = count === undefined ? 1 : integer(count);
  const taken = end === 'left' ? items.splice(0, wanted) : items.splice(-wanted).reverse();
  if (items.length === 0) keys.delete(name(key!));
  return count === undefined ? taken[0]! : taken;
}

/** Empty collections don't exist. */
function removed(keys: Keyspace, key: Buffer, size: number, count: number): number {
  if (size === 0) keys.delete(name(key));
  return count;
}

export const collectionCommands: Commands = {
  HSET: writes(3, ({ keys }, args) => setFields(keys, args)),
  HMSET: writes(3, ({ keys }, args) => {
    setFields(keys, args);
    return ok;
  }),
  HSETNX: writes(3, ({ keys }, [key, field, value]) => {
    const fields = ownHash(keys, key!);
    if (fields.has(name(field!))) return 0;
    fields.set(name(field!), Buffer.from(value!));
    return 1;
  }),
  HGET: reads(2, ({ keys }, [key, field]) => hash(keys, key!).get(name(field!)) ?? null),
  HMGET: reads(2, ({ keys }, [key, ...fields]) => {
    const kept = hash(keys, key!);
    return fields.map((field) => kept.get(name(field)) ?? null);
  }),
  HGETALL: reads(1, ({ keys }, [key]) =>
    [...hash(keys, key!)].flatMap(([field, value]) => [bytesOf(field), value]),
  ),
  HKEYS: reads(1, ({ keys }, [key]) => bulk(hash(keys, key!).keys())),
  HVALS: reads(1, ({ keys }, [key]) => [...hash(keys, key!).values()]),
  HLEN: reads(1, ({ keys }, [key]) => hash(keys, key!).size),
  HEXISTS: reads(2, ({ keys }, [key, field]) => (hash(keys, key!).has(name(field!)) ? 1 : 0)),
  HDEL: writes(2, ({ keys }, [key, ...fields]) => {
    const kept = keys.typed(name(key!), 'hash')?.fields ?? new Map<string, Buffer>();
    const count = fields.filter((field) => kept.delete(name(field))).length;
    return removed(keys, key!, kept.size, count);
  }),
  HINCRBY: writes(3, ({ keys }, [key, field, by]) => {
    const present = hash(keys, key!).get(name(field!));
    const sum = (present === undefined ? 0 : integer(present)) + integer(by);
    ownHash(keys, key!).set(name(field!), text(sum));
    return sum;
  }),

  SADD: writes(2, ({ keys }, [key, ...members]) => {
    const kept = keys.ensure(name(key!), 'set', () => ({ type: 'set', members: new Set() })).members;
    const before = kept.size;
    for (const member of members) kept.add(name(member));
    return kept.size - before;
  }),
  SREM: writes(2, ({ keys }, [key, ...members]) => {
    const kept = keys.typed(name(key!), 'set')?.members ?? new Set<string>();
    const count = members.filter((member) => kept.delete(name(member))).length;
    return removed(keys, key!, kept.size, count);
  }),
  SMEMBERS: reads(1, ({ keys }, [key]) => bulk(set(keys, key!))),
  SISMEMBER: reads(2, ({ keys }, [key, member]) => (set(keys, key!).has(name(member!)) ? 1 : 0)),
  SMISMEMBER: reads(2, ({ keys }, [key, ...members]) =>
    members.map((member) => (set(keys, key!).has(name(member)) ? 1 : 0)),
  ),
  SCARD: reads(1, ({ keys }, [key]) => set(keys, key!).size),

  LPUSH: writes(2, ({ keys }, args) => push(keys, args, 'left')),
  RPUSH: writes(2, ({ keys }, args) => push(keys, args, 'right')),
  LPOP: writes(1, ({ keys }, args) => pop(keys, args, 'left')),
  RPOP: writes(1, ({ keys }, args) => pop(keys, args, 'right')),
  LLEN: reads(1, ({ keys }, [key]) => list(keys, key!).length),
  LINDEX: reads(2, ({ keys }, [key, at]) => list(keys, key!).at(integer(at)) ?? null),
  LRANGE: reads(3, ({ keys }, [key, start, stop]) => {
    const items = list(keys, key!);
    return items.slice(...rangeOf(integer(start), integer(stop), items.length));
  }),
  LTRIM: writes(3, ({ keys }, [key, start, stop]) => {
    const kept = keys.typed(name(key!), 'list');
    if (kept === undefined) return ok;
    kept.items = kept.items.slice(...rangeOf(integer(start), integer(stop), kept.items.length));
    removed(keys, key!, kept.items.length, 0);
    return ok;
  }),
};
