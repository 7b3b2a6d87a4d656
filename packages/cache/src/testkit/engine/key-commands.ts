/** Keys as such, their times to live, the clock, and messages. */
import { bytesOf, type Commands, integer, name, reads, text, word, writes } from './command.ts';
import type { Keyspace } from './keyspace.ts';
import { EngineError, ok, Status } from './reply.ts';

function remove(keys: Keyspace, names: readonly Buffer[]): number {
  return names.filter((key) => keys.delete(name(key))).length;
}

/** With NX, XX, GT or LT; in ms since 1970. */
function expire(keys: Keyspace, key: Buffer, atMs: number, option: Buffer | undefined): number {
  const present = keys.expiresAtMs(name(key));
  if (present === undefined) return 0;
  const never = present === Number.POSITIVE_INFINITY;
  switch (word(option)) {
    case '':
      break;
    case 'NX':
      if (!never) return 0;
      break;
    case 'XX':
      if (never) return 0;
      break;
    case 'GT':
      if (atMs <= present) return 0;
      break;
    case 'LT':
      if (atMs >= present) return 0;
      break;
    default:
      throw new EngineError(`ERR Unsupported option ${option!.toString('latin1')}`);
  }
  return keys.expire(name(key), atMs) ? 1 : 0;
}

function leftMs(keys: Keyspace, key: Buffer): number {
  const at = keys.expiresAtMs(name(key));
  if (at === undefined) return -2;
  return at === Number.POSITIVE_INFINITY ? -1 : at - keys.nowMs;
}

/** Redis's glob: * ? [abc] [^a-c] and \ before a character. */
function matcher(pattern: string): RegExp {
  const parts = pattern.match(/\\.|\[(?:\\.|[^\]])*\]|[\s\S]/g) ?? [];
  const source = parts.map((part) => {
    if (part === '*') return '[\\s\\S]*';
    if (part === '?') return '[\\s\\S]';
    if (part.startsWith('[') && part.length > 1) return part;
    return (part.startsWith('\\') && part.length > 1 ? part[1]! : part).replace(
      /[.*+?^${}()|[\]\\/]/g,
      '\\$&',
    );
  });
  return new RegExp(`^${source.join('')}$`);
}

const types = { hyperloglog: 'string' } as const;

export const keyCommands: Commands = {
  DEL: writes(1, ({ keys }, args) => remove(keys, args)),
  UNLINK: writes(1, ({ keys }, args) => remove(keys, args)),
  EXISTS: reads(1, ({ keys }, args) => args.filter((key) => keys.get(name(key)) !== undefined).length),
  TYPE: reads(1, ({ keys }, [key]) => {
    const type = keys.get(name(key!))?.type ?? 'none';
    return new Status(type in types ? types[type as keyof typeof types] : type);
  }),
  EXPIRE: writes(2, ({ keys }, [key, s, o]) => expire(keys, key!, keys.nowMs + integer(s) * 1_000, o)),
  PEXPIRE: writes(2, ({ keys }, [key, ms, o]) => expire(keys, key!, keys.nowMs + integer(ms), o)),
  EXPIREAT: writes(2, ({ keys }, [key, s, o]) => expire(keys, key!, integer(s) * 1_000, o)),
  PEXPIREAT: writes(2, ({ keys }, [key, ms, o]) => expire(keys, key!, integer(ms), o)),
  RENAME: writes(2, ({ keys }, [from, to]) => {
    const value = keys.get(name(from!));
    const at = keys.expiresAtMs(name(from!));
    if (value === undefined) throw new EngineError('ERR no such key');
    keys.delete(name(from!));
    keys.set(name(to!), value, at);
    return ok;
  }),
  PERSIST: writes(1, ({ keys }, [key]) => {
    const at = keys.expiresAtMs(name(key!));
    if (at === undefined || at === Number.POSITIVE_INFINITY) return 0;
    return keys.expire(name(key!), Number.POSITIVE_INFINITY) ? 1 : 0;
  }),
  PTTL: reads(1, ({ keys }, [key]) => Math.round(leftMs(keys, key!))),
  TTL: reads(1, ({ keys }, [key]) => {
    const left = leftMs(keys, key!);
    return left < 0 ? left : Math.round(left / 1_000);
  }),
  KEYS: reads(1, ({ keys }, [pattern]) => {
    const matches = matcher(name(pattern!));
    return keys
      .keys()
      .filter((key) => matches.test(key))
      .map(bytesOf);
  }),
  /** Everything in one page. */
  SCAN: reads(1, ({ keys }, [, ...options]) => {
    const at = options.findIndex((option) => word(option) === 'MATCH');
    const matches = at < 0 ? /^/ : matcher(name(options[at + 1]!));
    const found = keys.keys().filter((key) => matches.test(key));
    return [text(0), found.map(bytesOf)];
  }),
  DBSIZE: reads(0, ({ keys }) => keys.keys().length),
  FLUSHALL: writes(0, ({ keys }) => {
    keys.clear();
    return ok;
  }),
  FLUSHDB: writes(0, ({ keys }) => {
    keys.clear();
    return ok;
  }),
  PING: reads(0, (_, [message]) => message ?? new Status('PONG')),
  ECHO: reads(1, (_, [message]) => message!),
  TIME: reads(0, ({ keys }) => {
    const micros = Math.floor(keys.nowMs * 1_000);
    return [text(Math.floor(micros / 1_000_000)), text(micros % 1_000_000)];
  }),
  PUBLISH: reads(2, ({ publish }, [channel, message]) => publish(channel!.toString('utf8'), message!, false)),
  SPUBLISH: reads(2, ({ publish }, [channel, message]) => publish(channel!.toString('utf8'), message!, true)),
};
