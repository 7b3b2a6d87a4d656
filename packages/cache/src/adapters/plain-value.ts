/** (pure) Values of frameworks as JSON and back: bytes, dates, maps, sets, big numbers and undefined come back as such. */

/** The value has something in it that wouldn't come back as it was: an instance of a class, a function. */
export class UnkeepableValueError extends Error {
  override readonly name = 'UnkeepableValueError';
}

const mark = '$larder';
const maxDepth = 200;

/** Throws UnkeepableValueError. */
export function toPlain(value: unknown, depth = 0): unknown {
  if (depth > maxDepth) throw new UnkeepableValueError('The value is nested too deeply, or contains itself.');
  const inner = (each: unknown): unknown => toPlain(each, depth + 1);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : marked('number', Object.is(value, -0) ? '-0' : String(value));
    case 'undefined':
      return marked('undefined', 0);
    case 'bigint':
      return marked('bigint', String(value));
    case 'object':
      break;
    default:
      throw new UnkeepableValueError(`A ${typeof value} can't be kept.`);
  }
  if (value === null) return null;
  if (Array.isArray(value)) return value.map(inner);
  if (Buffer.isBuffer(value)) return marked('buffer', value.toString('base64'));
  switch (Object.getPrototypeOf(value)) {
    case Uint8Array.prototype:
      return marked('bytes', Buffer.from(value as Uint8Array).toString('base64'));
    case Date.prototype:
      return marked('date', inner((value as Date).getTime()));
    case Map.prototype:
      return marked('map', inner([...(value as Map<unknown, unknown>)]));
    case Set.prototype:
      return marked('set', inner([...(value as Set<unknown>)]));
    case Object.prototype:
    case null:
      break;
    default:
      throw new UnkeepableValueError(`An instance of ${String(value.constructor?.name)} can't be kept.`);
  }
  const plain = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inner(each)]));
  return Object.hasOwn(plain, mark) ? marked('object', Object.entries(plain)) : plain;
}

/** Of what `toPlain` made. */
export function fromPlain(plain: unknown): unknown {
  if (typeof plain !== 'object' || plain === null) return plain;
  if (Array.isArray(plain)) return plain.map(fromPlain);
  if (!Object.hasOwn(plain, mark)) return fromEntries(Object.entries(plain));
  const { [mark]: kind, value } = plain as { readonly [mark]: string; readonly value: unknown };
  switch (kind) {
    case 'number':
      return Number(value);
    case 'undefined':
      return undefined;
    case 'bigint':
      return BigInt(value as string);
    case 'buffer':
      return Buffer.from(value as string, 'base64');
    case 'bytes':
      return new Uint8Array(Buffer.from(value as string, 'base64'));
    case 'date':
      return new Date(fromPlain(value) as number);
    case 'map':
      return new Map(fromPlain(value) as [unknown, unknown][]);
    case 'set':
      return new Set(fromPlain(value) as unknown[]);
    default:
      return fromEntries(value as [string, unknown][]);
  }
}

function fromEntries(entries: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries(entries.map(([name, each]) => [name, fromPlain(each)]));
}

function marked(kind: string, value: unknown): object {
  return { [mark]: kind, value };
}
