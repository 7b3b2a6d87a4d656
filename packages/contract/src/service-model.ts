/**
 * A service's API as a table the codecs can walk: operation -> input shape, output shape.
 *
 * It is read once, at load, from the schemas an AWS SDK client exports for its own use. Nothing here is specific to
 * one service: pass another client's module and its identity, and the same codecs serve it.
 */
import { NormalizedSchema } from '@smithy/core/schema';
import type { StaticErrorSchema, StaticOperationSchema } from '@smithy/types';

export type Shape = StructureShape | ListShape | MapShape | ScalarShape;

export interface StructureShape {
  readonly kind: 'structure';
  readonly name: string;
  /** By wire name. A Map, because a wire name comes from the client and must never be looked up on an object. */
  readonly members: ReadonlyMap<string, MemberShape>;
  /** Of the members exactly one is there. */
  readonly union?: true;
}

export interface MemberShape {
  /** The property in the decoded object. */
  readonly name: string;
  readonly wireName: string;
  readonly required: boolean;
  readonly shape: Shape;
}

export interface ListShape {
  readonly kind: 'list';
  /** The modelled element name of an item, such as `member` or `CacheClusterId`. */
  readonly itemName: string;
  readonly item: Shape;
  /** The most a client may send; only where it is written down. */
  readonly mostItems?: number;
}

/** From texts to values. In the query protocol its items are called `entry`, with a `key` and a `value`. */
export interface MapShape {
  readonly kind: 'map';
  readonly value: Shape;
}

export interface ScalarShape {
  readonly kind: 'string' | 'boolean' | 'number' | 'timestamp' | 'blob';
  /** Of a text, in characters; only where it is written down. */
  readonly length?: { readonly least: number; readonly most: number };
}

export interface OperationModel {
  readonly name: string;
  readonly input: StructureShape;
  /** Absent when the model says the operation returns nothing; the response then has no result element. */
  readonly output: StructureShape | undefined;
}

export interface ErrorModel {
  readonly shapeName: string;
  /** What stands in `<Code>`; differs from the shape name where the model carries an awsQueryError trait. */
  readonly wireCode: string;
  readonly httpStatus: number;
}

export interface ServiceIdentity {
  /** The `Version` parameter, such as `2015-02-02`. */
  readonly apiVersion: string;
  /** The service part of a SigV4 credential scope. */
  readonly signingName: string;
  readonly xmlNamespace: string;
  /**
   * How numbers of a request are read. The SDK's schemas have one numeric kind for integers and doubles alike, so
   * the service says which it takes; ElastiCache takes only 32-bit integers.
   */
  readonly inputNumbers: 'int32' | 'double';
}

export interface ServiceModel extends ServiceIdentity {
  readonly operations: ReadonlyMap<string, OperationModel>;
  /** By shape name. */
  readonly errors: ReadonlyMap<string, ErrorModel>;
}

const OPERATION = 9;
const ERROR = -3;

/**
 * Reads every operation and error schema that `schemaModule` exports.
 *
 * @throws Error when a schema uses a shape the codecs do not speak (documents, big numbers), so that a newer SDK can't
 *   silently lose a member.
 */
export function readServiceModel(
  schemaModule: Readonly<Record<string, unknown>>,
  identity: ServiceIdentity,
): ServiceModel {
  const operations = new Map<string, OperationModel>();
  const errors = new Map<string, ErrorModel>();
  const structures = new Map<unknown, StructureShape>();
  for (const exported of Object.values(schemaModule)) {
    if (isOperation(exported)) {
      const [, , name, , input, output] = exported;
      operations.set(name, {
        name,
        input: readStructure(NormalizedSchema.of(input), structures) ?? emptyStructure(`${name}Input`),
        output: readStructure(NormalizedSchema.of(output), structures),
      });
    } else if (isModelledError(exported)) {
      const model = readError(exported);
      errors.set(model.shapeName, model);
    }
  }
  return { ...identity, operations, errors };
}

function readError(schema: StaticErrorSchema): ErrorModel {
  const traits = NormalizedSchema.of(schema).getMergedTraits();
  // Typed loosely by the SDK; its generator writes `[code, status]`.
  const queryError: unknown = traits.awsQueryError;
  const [wireCode, queryStatus]: unknown[] = Array.isArray(queryError) ? queryError : [];
  const statuses: unknown[] = [queryStatus, traits.httpError];
  return {
    shapeName: schema[2],
    wireCode: typeof wireCode === 'string' ? wireCode : schema[2],
    httpStatus: statuses.find((status) => typeof status === 'number') ?? 400,
  };
}

function readStructure(
  schema: NormalizedSchema,
  known: Map<unknown, StructureShape>,
): StructureShape | undefined {
  if (schema.isUnitSchema()) return undefined;
  const raw = schema.getSchema();
  const seen = known.get(raw);
  if (seen !== undefined) return seen;
  const members = new Map<string, MemberShape>();
  const structure: StructureShape = {
    kind: 'structure',
    name: schema.getName() ?? '',
    members,
    ...(schema.isUnionSchema() && { union: true }),
  };
  // Registered before its members are read: a structure may contain itself.
  known.set(raw, structure);
  const requiredCount = requiredMemberCount(raw);
  let position = 0;
  for (const [name, member] of schema.structIterator()) {
    const wireName = member.getMemberTraits().xmlName ?? name;
    const required = position < requiredCount;
    members.set(wireName, { name, wireName, required, shape: readShape(member, known) });
    position += 1;
  }
  return structure;
}

function readShape(schema: NormalizedSchema, known: Map<unknown, StructureShape>): Shape {
  if (schema.isStringSchema()) return { kind: 'string' };
  if (schema.isBooleanSchema()) return { kind: 'boolean' };
  if (schema.isNumericSchema()) return { kind: 'number' };
  if (schema.isTimestampSchema()) return { kind: 'timestamp' };
  if (schema.isBlobSchema()) return { kind: 'blob' };
  if (schema.isMapSchema()) return { kind: 'map', value: readShape(schema.getValueSchema(), known) };
  if (schema.isListSchema()) {
    const item = schema.getValueSchema();
    return {
      kind: 'list',
      itemName: item.getMergedTraits().xmlName ?? 'member',
      item: readShape(item, known),
    };
  }
  const structure = schema.isStructSchema() ? readStructure(schema, known) : undefined;
  if (structure === undefined) throw new Error(`unsupported shape ${schema.getName(true)}`);
  return structure;
}

/** The SDK lists required members first and stores only how many there are. */
function requiredMemberCount(raw: unknown): number {
  const count: unknown = Array.isArray(raw) ? raw[6] : undefined;
  return typeof count === 'number' ? count : 0;
}

function isOperation(value: unknown): value is StaticOperationSchema {
  return Array.isArray(value) && value[0] === OPERATION && value.length >= 6;
}

function isModelledError(value: unknown): value is StaticErrorSchema {
  // The SDK adds one synthetic base error of its own namespace; it has no status and never goes on the wire.
  return (
    Array.isArray(value) && value[0] === ERROR && !String(value[1]).startsWith('smithy.ts.sdk.synthetic')
  );
}

function emptyStructure(name: string): StructureShape {
  return { kind: 'structure', name, members: new Map() };
}

/** The names of the operations a schema module declares: `CreateUser$` becomes `CreateUser`. */
export type OperationNames<Module> = NamesOfSchemaKind<Module, typeof OPERATION>;

/** The shape names of the errors a schema module declares. */
export type ErrorShapeNames<Module> = NamesOfSchemaKind<Module, typeof ERROR>;

type NamesOfSchemaKind<Module, Kind extends number> = {
  [Key in keyof Module]: Module[Key] extends readonly [Kind, string, string, ...unknown[]]
    ? Key extends `${infer Name}$`
      ? Name
      : never
    : never;
}[keyof Module];

/** What a handler receives: decoded, of the modelled types, every required member present. */
export type InputOf<Module, Op extends string> = Present<CommandTypes<Module, Op>['input']>;

/** What a handler returns: the SDK's result type without the client's metadata. */
export type OutputOf<Module, Op extends string> = Omit<CommandTypes<Module, Op>['output'], '$metadata'>;

type CommandTypes<Module, Op extends string> = `${Op}Command` extends keyof Module
  ? Module[`${Op}Command`] extends new (
      ...args: never[]
    ) => { resolveMiddleware(...args: never[]): (...args: never[]) => Promise<{ output: infer Result }> } & {
      input: infer Request;
    }
    ? { input: Request; output: Result }
    : never
  : never;

/**
 * The SDK types a required member as `string | undefined`, because a client may not have validated it. The decoder
 * has, so the `undefined` goes; optional members stay optional.
 */
type Present<T> = T extends Date | Uint8Array
  ? T
  : T extends readonly (infer Item)[]
    ? Present<Item>[]
    : T extends object
      ? {
          [Key in keyof T]: undefined extends T[Key]
            ? object extends Pick<T, Key>
              ? Present<T[Key]>
              : Present<Exclude<T[Key], undefined>>
            : Present<T[Key]>;
        }
      : T;
