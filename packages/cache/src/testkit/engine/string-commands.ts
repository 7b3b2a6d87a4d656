/** Strings, counters, and HyperLogLogs (which the engine also keeps as strings). */
import { bytesOf, type Commands, integer, name, rangeOf, reads, text, word, writes } from './command.ts';
import type { Keyspace } from './keyspace.ts';
import { EngineError, ok, type Reply, syntaxError } from './reply.ts';

const maxStringBytes = 512 * 2 ** 20;

function get(keys: Keyspace, key: Buffer): Buffer | null {
  const value = keys.typed(name(key), 'string');
  return value === undefined ? null : Buffer.from(value.bytes);
}

function put(keys: Keyspace, key: Buffer, bytes: Buffer, expiresAtMs?: number): void {
  keys.set(name(key), { type: 'string', bytes: Buffer.from(bytes) }, expiresAtMs);
}

/** SET key value [NX | XX] [GET] [EX | PX | EXAT | PXAT n | KEEPTTL] */
function set(keys: Keyspace, [key, value, ...options]: readonly Buffer[]): Reply {
  let expiresAtMs: number | undefined;
  let condition = '';
  let wantsOld = false;
  for (let i = 0; i < options.length; i += 1) {
    const option = word(options[i]);
    if (option === 'NX' || option === 'XX') {
      if (condition !== '') throw syntaxError();
      condition = option;
    } else if (option === 'GET') wantsOld = true;
    else if (option === 'KEEPTTL') expiresAtMs = keys.expiresAtMs(name(key!));
    else if (/^(EX|PX|EXAT|PXAT)$/.test(option)) expiresAtMs = untilMs(keys, option, options[++i]);
    else throw syntaxError();
  }
  const old = wantsOld ? get(keys, key!) : null;
  const present = keys.get(name(key!)) !== undefined;
  if ((condition === 'NX' && present) || (condition === 'XX' && !present)) return old;
  put(keys, key!, value!, expiresAtMs);
  return wantsOld ? old : ok;
}

function untilMs(keys: Keyspace, option: string, amount: Buffer | undefined): number {
  const value = integer(amount);
  if (value <= 0) throw new EngineError("ERR invalid expire time in 'set' command");
  const ms = option.startsWith('EX') ? value * 1_000 : value;
  return option.endsWith('AT') ? ms : keys.nowMs + ms;
}

function add(keys: Keyspace, key: Buffer, by: number): Reply {
  const present = get(keys, key);
  const sum = (present === null ? 0 : integer(present)) + by;
  if (!Number.isSafeInteger(sum)) throw new EngineError('ERR increment or decrement would overflow');
  put(keys, key, text(sum), keys.expiresAtMs(name(key)));
  return sum;
}

function setRange(keys: Keyspace, [key, at, part]: readonly Buffer[]): Reply {
  const offset = integer(at);
  if (offset < 0) throw new EngineError('ERR offset is out of range');
  const present = keys.typed(name(key!), 'string');
  if (part!.length === 0) return present?.bytes.length ?? 0;
  const end = offset + part!.length;
  if (end > maxStringBytes)
    throw new EngineError('ERR string exceeds maximum allowed size (proto-max-bulk-len)');
  const kept = keys.ensure(name(key!), 'string', () => ({ type: 'string', bytes: Buffer.alloc(end) }));
  if (kept.bytes.length < end) {
    const longer = Buffer.alloc(end);
    kept.bytes.copy(longer);
    kept.bytes = longer;
  }
  part!.copy(kept.bytes, offset);
  return kept.bytes.length;
}

export const stringCommands: Commands = {
  GET: reads(1, ({ keys }, [key]) => get(keys, key!)),
  SET: writes(2, ({ keys }, args) => set(keys, args)),
  SETNX: writes(2, ({ keys }, [key, value]) => (set(keys, [key!, value!, text('NX')]) === null ? 0 : 1)),
  SETEX: writes(3, ({ keys }, [key, ttl, value]) => set(keys, [key!, value!, text('EX'), ttl!])),
  PSETEX: writes(3, ({ keys }, [key, ttl, value]) => set(keys, [key!, value!, text('PX'), ttl!])),
  GETSET: writes(2, ({ keys }, [key, value]) => set(keys, [key!, value!, text('GET')])),
  GETDEL: writes(1, ({ keys }, [key]) => {
    const old = get(keys, key!);
    keys.delete(name(key!));
    return old;
  }),
  MGET: reads(1, ({ keys }, args) =>
    args.map((key) => (keys.get(name(key))?.type === 'string' ? get(keys, key) : null)),
  ),
  MSET: writes(2, ({ keys }, args) => {
    for (let i = 0; i + 1 < args.length; i += 2) put(keys, args[i]!, args[i + 1]!);
    return ok;
  }),
  STRLEN: reads(1, ({ keys }, [key]) => keys.typed(name(key!), 'string')?.bytes.length ?? 0),
  APPEND: writes(2, ({ keys }, [key, part]) => {
    const joined = Buffer.concat([get(keys, key!) ?? Buffer.alloc(0), part!]);
    put(keys, key!, joined, keys.expiresAtMs(name(key!)));
    return joined.length;
  }),
  GETRANGE: reads(3, ({ keys }, [key, start, stop]) => {
    const bytes = keys.typed(name(key!), 'string')?.bytes ?? Buffer.alloc(0);
    const [from, to] = rangeOf(integer(start), integer(stop), bytes.length);
    return Buffer.from(bytes.subarray(from, to));
  }),
  SETRANGE: writes(3, ({ keys }, args) => setRange(keys, args)),
  INCR: writes(1, ({ keys }, [key]) => add(keys, key!, 1)),
  DECR: writes(1, ({ keys }, [key]) => add(keys, key!, -1)),
  INCRBY: writes(2, ({ keys }, [key, by]) => add(keys, key!, integer(by))),
  DECRBY: writes(2, ({ keys }, [key, by]) => add(keys, key!, -integer(by))),

  PFADD: writes(1, ({ keys }, [key, ...members]) => {
    const kept = keys.ensure(name(key!), 'hyperloglog', () => ({ type: 'hyperloglog', members: new Set() }));
    const before = kept.members.size;
    for (const member of members) kept.members.add(name(member));
    return kept.members.size > before ? 1 : 0;
  }),
  PFCOUNT: reads(1, ({ keys }, args) => union(keys, args).size),
  PFMERGE: writes(1, ({ keys }, args) => {
    keys.set(name(args[0]!), { type: 'hyperloglog', members: union(keys, args) });
    return ok;
  }),
};

function union(keys: Keyspace, names: readonly Buffer[]): Set<string> {
  const all = new Set<string>();
  for (const key of names) {
    for (const member of keys.typed(name(key), 'hyperloglog')?.members ?? []) all.add(member);
  }
  return all;
}

/** For the keys of a hash or set as a reply. */
export function bulk(names: Iterable<string>): Buffer[] {
  return [...names].map(bytesOf);
}
