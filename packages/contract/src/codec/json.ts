/**
 * AWS's JSON protocol, server side. The walk follows the schema, and looks for its names alone: what else is sent is
 * ignored, and the depth of the result is the depth of the model. Timestamps are seconds since 1970, with a fraction.
 */
import { serviceError } from '../errors.ts';
import type { OperationModel, ScalarShape, Shape, StructureShape } from '../service-model.ts';
import { MAX_BODY_BYTES } from './form.ts';
import type { DecodedStructure, DecodedValue } from './query.ts';

export const MAX_LIST_ITEMS = 10_000;
/** What a Date can hold. */
const MOST_SECONDS = 8.64e12;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Decodes a request's body by the operation's input shape; an empty one is `{}`, and a member that is null is absent.
 *
 * @throws ServiceError RequestEntityTooLarge; MalformedInput for what is no JSON or has another type than the model;
 *   ValidationError for an absent required member, a text or a list beyond its bounds.
 */
export function decodeJson(operation: OperationModel, body: Uint8Array): DecodedStructure {
  if (body.byteLength > MAX_BODY_BYTES) {
    throw serviceError('RequestEntityTooLarge', `A request body can have up to ${MAX_BODY_BYTES} bytes.`);
  }
  return decodeStructure(operation.input, body.byteLength === 0 ? {} : parse(body), '');
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    throw serviceError('MalformedInput', 'The request body is not valid JSON in UTF-8.');
  }
}

function decodeStructure(shape: StructureShape, value: unknown, path: string): DecodedStructure {
  if (!isRecord(value)) throw wrongType(path, 'an object');
  const decoded: DecodedStructure = {};
  for (const member of shape.members.values()) {
    const memberPath = path === '' ? member.wireName : `${path}.${member.wireName}`;
    // hasOwn: the object is the client's, and a name of the model may be on every object's prototype.
    const given = Object.hasOwn(value, member.wireName) ? value[member.wireName] : undefined;
    if (given !== undefined && given !== null) {
      decoded[member.name] = decodeValue(member.shape, given, memberPath);
    } else if (member.required) {
      throw serviceError('ValidationError', `The parameter ${memberPath} must be provided.`);
    }
  }
  return decoded;
}

function decodeValue(shape: Shape, value: unknown, path: string): DecodedValue {
  if (shape.kind === 'structure') return decodeStructure(shape, value, path);
  if (shape.kind !== 'list') return decodeScalar(shape, value, path);
  if (!Array.isArray(value)) throw wrongType(path, 'an array');
  const most = shape.mostItems ?? MAX_LIST_ITEMS;
  if (value.length > most) {
    throw serviceError('ValidationError', `${path} can have up to ${most} items; it has ${value.length}.`);
  }
  return value.map((item: unknown, index) => decodeValue(shape.item, item, `${path}[${index}]`));
}

function decodeScalar(shape: ScalarShape, value: unknown, path: string): DecodedValue {
  switch (shape.kind) {
    case 'string': {
      if (typeof value !== 'string') throw wrongType(path, 'a string');
      const { least, most } = shape.length ?? { least: 0, most: MAX_BODY_BYTES };
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
    case 'timestamp':
      if (typeof value !== 'number' || !(Math.abs(value) <= MOST_SECONDS)) {
        throw wrongType(path, 'a number of seconds since 1970');
      }
      return new Date(Math.round(value * 1000));
  }
}

/**
 * The body of a successful response. Members the model does not name are left out, as are undefined ones.
 *
 * @throws TypeError when a value is not of its modelled type, naming the member: a handler broke its contract.
 */
export function encodeJson(operation: OperationModel, output: unknown): string {
  if (operation.output === undefined) return '{}';
  return JSON.stringify(encodeStructure(operation.output, output, operation.name));
}

function encodeStructure(shape: StructureShape, value: unknown, path: string): object {
  if (!isRecord(value)) throw new TypeError(`${path} must be an object`);
  const members = [...shape.members.values()].flatMap((member) => {
    const given = value[member.name];
    if (given === undefined || given === null) return [];
    return [[member.wireName, encodeValue(member.shape, given, `${path}.${member.name}`)] as const];
  });
  return Object.fromEntries(members);
}

function encodeValue(shape: Shape, value: unknown, path: string): unknown {
  if (shape.kind === 'structure') return encodeStructure(shape, value, path);
  if (shape.kind === 'list') {
    if (!Array.isArray(value)) throw new TypeError(`${path} must be an array`);
    return value.map((item: unknown, index) => encodeValue(shape.item, item, `${path}[${index}]`));
  }
  if (shape.kind === 'timestamp' && value instanceof Date) return value.getTime() / 1000;
  if (shape.kind === 'number' && typeof value === 'number' && Number.isFinite(value)) return value;
  if (shape.kind !== 'timestamp' && shape.kind !== 'number' && typeof value === shape.kind) return value;
  throw new TypeError(`${path}: a ${shape.kind} can't be written from a ${typeof value}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrongType(path: string, expected: string) {
  return serviceError('MalformedInput', `${path === '' ? 'The request body' : path} must be ${expected}.`);
}
