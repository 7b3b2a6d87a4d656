/**
 * Between a tree of plain values and typed objects, for the protocols that send such trees: JSON and CBOR. The walk
 * follows the schema and looks for its names alone: what else is sent is ignored, and the depth of the result is the
 * depth of the model.
 */
import { serviceError } from '../errors.ts';
import type {
  ListShape,
  MapShape,
  OperationModel,
  ScalarShape,
  Shape,
  StructureShape,
} from '../service-model.ts';
import { notOne } from './not-one.ts';
import type { DecodedStructure, DecodedValue } from './query.ts';

export const MAX_LIST_ITEMS = 10_000;
/** A text without a bound of its own. */
export const MAX_TEXT_LENGTH = 1024 * 1024;
/** What a Date can hold. */
const MOST_SECONDS = 8.64e12;

/** How a protocol writes what its trees have no values for. */
export interface TreeDialect {
  /** In the words of an error: what a timestamp must be. */
  readonly timestampIs: string;
  /** Seconds since 1970, or undefined for what is no timestamp. */
  readonly readTimestamp: (value: unknown) => number | undefined;
  readonly writeTimestamp: (value: Date) => unknown;
  readonly readBlob: (value: unknown) => Uint8Array | undefined;
  readonly writeBlob: (value: Uint8Array) => unknown;
}

/**
 * Decodes a request by the operation's input shape; a member that is null is absent.
 *
 * @throws ServiceError MalformedInput for what has another type than the model; ValidationError for an absent required
 *   member, a union with none or several, a text or a list beyond its bounds.
 */
export function decodeTree(operation: OperationModel, tree: unknown, dialect: TreeDialect): DecodedStructure {
  return decodeStructure(operation.input, tree, '', dialect);
}

function decodeStructure(
  shape: StructureShape,
  value: unknown,
  path: string,
  dialect: TreeDialect,
): DecodedStructure {
  if (!isRecord(value)) throw wrongType(path, 'an object');
  const decoded: DecodedStructure = {};
  let count = 0;
  for (const member of shape.members.values()) {
    const memberPath = path === '' ? member.wireName : `${path}.${member.wireName}`;
    // hasOwn: the object is the client's, and a name of the model may be on every object's prototype.
    const given = Object.hasOwn(value, member.wireName) ? value[member.wireName] : undefined;
    if (given !== undefined && given !== null) {
      decoded[member.name] = decodeValue(member.shape, given, memberPath, dialect);
      count += 1;
    } else if (member.required && shape.union === undefined) {
      throw serviceError('ValidationError', `The parameter ${memberPath} must be provided.`);
    }
  }
  if (shape.union !== undefined && count !== 1) throw notOne(shape, path);
  return decoded;
}

function decodeValue(shape: Shape, value: unknown, path: string, dialect: TreeDialect): DecodedValue {
  if (shape.kind === 'structure') return decodeStructure(shape, value, path, dialect);
  if (shape.kind === 'list') return decodeList(shape, value, path, dialect);
  if (shape.kind === 'map') return decodeMap(shape, value, path, dialect);
  return decodeScalar(shape, value, path, dialect);
}

function decodeList(shape: ListShape, value: unknown, path: string, dialect: TreeDialect): DecodedValue {
  if (!Array.isArray(value)) throw wrongType(path, 'an array');
  checkCount(value.length, path, shape.mostItems);
  return value.map((item: unknown, index) => decodeValue(shape.item, item, `${path}[${index}]`, dialect));
}

function decodeMap(shape: MapShape, value: unknown, path: string, dialect: TreeDialect): DecodedStructure {
  if (!isRecord(value)) throw wrongType(path, 'an object');
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  checkCount(entries.length, path);
  // fromEntries defines properties: no key of the client's can reach a prototype.
  return Object.fromEntries(
    entries.map(([key, each]) => [
      key,
      decodeValue(shape.value, each, `${path}.${key.slice(0, 100)}`, dialect),
    ]),
  );
}

function checkCount(count: number, path: string, most = MAX_LIST_ITEMS): void {
  if (count <= most) return;
  throw serviceError('ValidationError', `${path} can have up to ${most} items; it has ${count}.`);
}

function decodeScalar(shape: ScalarShape, value: unknown, path: string, dialect: TreeDialect): DecodedValue {
  switch (shape.kind) {
    case 'string': {
      if (typeof value !== 'string') throw wrongType(path, 'a string');
      const { least, most } = shape.length ?? { least: 0, most: MAX_TEXT_LENGTH };
      if (value.length < least || value.length > most) {
        throw serviceError(
          'ValidationError',
          `${path} must have ${least} to ${most} characters; it has ${value.length}.`,
        );
      }
      return value;
    }
    case 'boolean':
      if (typeof value !== 'boolean') throw wrongType(path, 'true or false');
      return value;
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw wrongType(path, 'a number');
      return value;
    case 'timestamp': {
      const seconds = dialect.readTimestamp(value);
      if (seconds === undefined || !(Math.abs(seconds) <= MOST_SECONDS)) {
        throw wrongType(path, dialect.timestampIs);
      }
      return new Date(Math.round(seconds * 1000));
    }
    case 'blob': {
      const bytes = dialect.readBlob(value);
      if (bytes === undefined) throw wrongType(path, 'bytes');
      return bytes;
    }
  }
}

/**
 * The tree of a successful response; `{}` for an operation that returns nothing. Members the model does not name are
 * left out, as are undefined ones.
 *
 * @throws TypeError when a value is not of its modelled type, naming the member: a handler broke its contract.
 */
export function encodeTree(operation: OperationModel, output: unknown, dialect: TreeDialect): object {
  if (operation.output === undefined) return {};
  return encodeStructure(operation.output, output, operation.name, dialect);
}

function encodeStructure(shape: StructureShape, value: unknown, path: string, dialect: TreeDialect): object {
  if (!isRecord(value)) throw new TypeError(`${path} must be an object`);
  const members = [...shape.members.values()].flatMap((member) => {
    const given = value[member.name];
    if (given === undefined || given === null) return [];
    return [[member.wireName, encodeValue(member.shape, given, `${path}.${member.name}`, dialect)] as const];
  });
  return Object.fromEntries(members);
}

function encodeValue(shape: Shape, value: unknown, path: string, dialect: TreeDialect): unknown {
  if (shape.kind === 'structure') return encodeStructure(shape, value, path, dialect);
  if (shape.kind === 'list') {
    if (!Array.isArray(value)) throw new TypeError(`${path} must be an array`);
    return value.map((item: unknown, index) => encodeValue(shape.item, item, `${path}[${index}]`, dialect));
  }
  if (shape.kind === 'map') {
    if (!isRecord(value)) throw new TypeError(`${path} must be an object`);
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [
        key,
        encodeValue(shape.value, each, `${path}.${key}`, dialect),
      ]),
    );
  }
  if (shape.kind === 'timestamp' && value instanceof Date) return dialect.writeTimestamp(value);
  if (shape.kind === 'blob' && value instanceof Uint8Array) return dialect.writeBlob(value);
  if (shape.kind === 'number' && typeof value === 'number' && Number.isFinite(value)) return value;
  if ((shape.kind === 'string' || shape.kind === 'boolean') && typeof value === shape.kind) return value;
  throw new TypeError(`${path}: a ${shape.kind} can't be written from a ${typeof value}`);
}

/** A plain object: what a dialect reads as something else (a timestamp, bytes) is none. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function wrongType(path: string, expected: string) {
  return serviceError('MalformedInput', `${path === '' ? 'The request body' : path} must be ${expected}.`);
}
