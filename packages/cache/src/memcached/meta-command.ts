/** (pure) Commands of the meta protocol as bytes. Nothing that a caller passes can end a line early. */
import { MetaArgumentError } from './errors.ts';

/** Text, or any bytes. Up to 250 bytes; with blanks or control characters in it, up to 186. */
export type MetaKey = string | Uint8Array;

export type MetaVerb = 'mg' | 'ms' | 'md' | 'ma' | 'me' | 'mn';

export interface MetaCommand {
  readonly verb: MetaVerb;
  /** The key as sent, with `b` among `flags` if it is base64; '' for mn. */
  readonly key: string;
  readonly flags: string;
  readonly body: Uint8Array | undefined;
}

export interface GetOptions {
  /** Return the value. Default true. */
  readonly value?: boolean;
  readonly cas?: boolean;
  readonly ttl?: boolean;
  readonly clientFlags?: boolean;
  readonly size?: boolean;
  /** Has it been read before? */
  readonly hit?: boolean;
  readonly lastAccess?: boolean;
  readonly returnKey?: boolean;
  /** A new time to live, s; 0 for none. */
  readonly touchS?: number;
  /** On a miss create an empty item that lives this long, s, and make exactly one caller the winner. */
  readonly vivifyS?: number;
  /** With less than this left, s, one caller wins the right to load anew. */
  readonly recacheS?: number;
}

export type SetMode = 'set' | 'add' | 'replace' | 'append' | 'prepend';

export interface SetOptions {
  /** s; 0, the default, for none. */
  readonly ttlS?: number;
  /** 32 bits that come back with the item. */
  readonly clientFlags?: number;
  /** Only if the item's CAS number is still this. */
  readonly cas?: string;
  readonly mode?: SetMode;
  /** With `cas`: an older number stores all the same, and marks the item stale. */
  readonly invalidate?: boolean;
  /** The item's new CAS number, instead of the server's own. Needs a server newer than 1.6.18. */
  readonly explicitCas?: string;
  readonly returnCas?: boolean;
}

export interface DeleteOptions {
  readonly cas?: string;
  /** Don't remove, mark stale: the next reader wins the right to load anew. */
  readonly stale?: boolean;
  /** With `stale`: the new time to live, s. */
  readonly ttlS?: number;
  /** Keep the item, drop its value. Needs a server newer than 1.6.18. */
  readonly dropValue?: boolean;
  readonly explicitCas?: string;
}

export interface ArithmeticOptions {
  /** Default 1, not negative. */
  readonly delta?: bigint | number;
  readonly mode?: 'increment' | 'decrement';
  /** Created with `initial` (default 0) on a miss, with this time to live, s. */
  readonly vivifyS?: number;
  readonly initial?: bigint | number;
  readonly ttlS?: number;
  readonly cas?: string;
  readonly returnCas?: boolean;
}

export const maxKeyBytes = 250;
const modes: Readonly<Record<SetMode, string>> = {
  set: 'S',
  add: 'E',
  replace: 'R',
  append: 'A',
  prepend: 'P',
};
const largest64 = (1n << 64n) - 1n;

/** All throw MetaArgumentError. */
export function getCommand(key: MetaKey, options: GetOptions = {}): MetaCommand {
  const { vivifyS, touchS, recacheS } = options;
  const flags = [
    options.value === false ? '' : 'v',
    options.cas === true ? 'c' : '',
    options.ttl === true ? 't' : '',
    options.clientFlags === true ? 'f' : '',
    options.size === true ? 's' : '',
    options.hit === true ? 'h' : '',
    options.lastAccess === true ? 'l' : '',
    options.returnKey === true ? 'k' : '',
    seconds('T', 'touchS', touchS),
    seconds('N', 'vivifyS', vivifyS),
    seconds('R', 'recacheS', recacheS),
  ];
  return command('mg', key, flags);
}

export function setCommand(key: MetaKey, value: string | Uint8Array, options: SetOptions = {}): MetaCommand {
  const body = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  const { ttlS, clientFlags, cas, mode = 'set', invalidate, explicitCas, returnCas } = options;
  if (invalidate === true && cas === undefined) throw new MetaArgumentError('`invalidate` needs `cas`.');
  const letter = modes[mode];
  if (letter === undefined) throw new MetaArgumentError(`There is no mode ${String(mode)}.`);
  const flags = [
    seconds('T', 'ttlS', ttlS),
    clientFlags === undefined ? '' : `F${whole('clientFlags', clientFlags, 2 ** 32 - 1)}`,
    number64('C', 'cas', cas),
    mode === 'set' ? '' : `M${letter}`,
    invalidate === true ? 'I' : '',
    number64('E', 'explicitCas', explicitCas),
    returnCas === true ? 'c' : '',
  ];
  return { ...command('ms', key, flags), body };
}

export function deleteCommand(key: MetaKey, options: DeleteOptions = {}): MetaCommand {
  const { cas, stale, ttlS, dropValue, explicitCas } = options;
  if (ttlS !== undefined && stale !== true) throw new MetaArgumentError('`ttlS` needs `stale`.');
  return command('md', key, [
    number64('C', 'cas', cas),
    stale === true ? 'I' : '',
    seconds('T', 'ttlS', ttlS),
    dropValue === true ? 'x' : '',
    number64('E', 'explicitCas', explicitCas),
  ]);
}

export function arithmeticCommand(key: MetaKey, options: ArithmeticOptions = {}): MetaCommand {
  const { delta, mode, vivifyS, initial, ttlS, cas, returnCas } = options;
  return command('ma', key, [
    'v',
    number64('D', 'delta', delta),
    mode === 'decrement' ? 'MD' : '',
    seconds('N', 'vivifyS', vivifyS),
    number64('J', 'initial', initial),
    seconds('T', 'ttlS', ttlS),
    number64('C', 'cas', cas),
    returnCas === true ? 'c' : '',
  ]);
}

export function debugCommand(key: MetaKey): MetaCommand {
  return command('me', key, []);
}

export const noopCommand: MetaCommand = { verb: 'mn', key: '', flags: '', body: undefined };

/** What goes over the wire: one piece, or three when there is a value. `extra` are further flags. */
export function encodeCommand({ verb, key, flags, body }: MetaCommand, extra = ''): (string | Uint8Array)[] {
  const length = body === undefined ? '' : ` ${body.byteLength}`;
  const head = `${verb}${key === '' ? '' : ` ${key}`}${length}${flags}${extra}\r\n`;
  return body === undefined ? [head] : [head, body, '\r\n'];
}

function command(verb: MetaVerb, key: MetaKey, flags: readonly string[]): MetaCommand {
  const { text, base64 } = encodeKey(key);
  let joined = base64 ? ' b' : '';
  for (const flag of flags) if (flag !== '') joined += ` ${flag}`;
  return { verb, key: text, flags: joined, body: undefined };
}

/**
 * The key as it is sent. Base64 is only how it travels: the server keeps the bytes, so an item is the same
 * whichever way it was named.
 */
export function encodeKey(key: MetaKey): { readonly text: string; readonly base64: boolean } {
  // Two keys that aren't text would be the same bytes.
  if (typeof key === 'string' && /\p{Surrogate}/u.test(key)) {
    throw new MetaArgumentError('A key holds half of a surrogate pair.');
  }
  const plain = typeof key === 'string' && isPlain(key);
  const text = plain ? key : Buffer.from(key as string).toString('base64');
  const length = plain ? Buffer.byteLength(key) : text.length;
  if (length === 0) throw new MetaArgumentError('A key is empty.');
  if (length > maxKeyBytes) {
    const as = plain ? '' : ' as base64, which its blanks, control characters or bytes need';
    throw new MetaArgumentError(`A key is ${length} bytes long${as}; memcached takes ${maxKeyBytes}.`);
  }
  return { text, base64: !plain };
}

/** Nothing that ends a word or a line. */
function isPlain(key: string): boolean {
  for (let i = 0; i < key.length; i += 1) {
    const unit = key.charCodeAt(i);
    if (unit <= 0x20 || unit === 0x7f || (unit >= 0x80 && unit <= 0xa0)) return false;
  }
  return true;
}

function seconds(flag: string, name: string, value: number | undefined): string {
  return value === undefined ? '' : `${flag}${whole(name, value, 2 ** 31 - 1)}`;
}

function whole(name: string, value: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw new MetaArgumentError(`\`${name}\` must be a whole number from 0 to ${most}.`);
}

function number64(flag: string, name: string, value: string | bigint | number | undefined): string {
  if (value === undefined) return '';
  const text = String(value);
  if (/^\d{1,20}$/.test(text) && BigInt(text) <= largest64) return `${flag}${text}`;
  throw new MetaArgumentError(`\`${name}\` must be a whole number of at most 64 bits.`);
}
