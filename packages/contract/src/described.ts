/** (pure) Shapes written down together with their types, for a service whose SDK is none of our dependencies. */
import type { MemberShape, OperationModel, ScalarShape, Shape, StructureShape } from './service-model.ts';

/** A shape, and the type of what is decoded by it. */
export interface Described<T> {
  readonly shape: Shape;
  /** Never there: it ties the type to the shape. */
  readonly decoded?: T;
}

export interface DescribedStructure<T> extends Described<T> {
  readonly shape: StructureShape;
}

type Members = Readonly<Record<string, Described<unknown>>>;
type Decoded<D> = D extends Described<infer T> ? T : never;
type StructureOf<Required extends Members, Optional extends Members> = {
  readonly [Name in keyof Required]: Decoded<Required[Name]>;
} & { readonly [Name in keyof Optional]?: Decoded<Optional[Name]> | undefined };

/** @param length bounds of what a client may send, in characters. */
export function text(length?: ScalarShape['length']): Described<string> {
  return { shape: { kind: 'string', ...(length !== undefined && { length }) } };
}

export const flag: Described<boolean> = { shape: { kind: 'boolean' } };
export const number: Described<number> = { shape: { kind: 'number' } };
export const timestamp: Described<Date> = { shape: { kind: 'timestamp' } };

export function list<T>(item: Described<T>, mostItems?: number): Described<readonly T[]> {
  return {
    shape: {
      kind: 'list',
      itemName: 'member',
      item: item.shape,
      ...(mostItems !== undefined && { mostItems }),
    },
  };
}

export function structure<Required extends Members, Optional extends Members>(
  name: string,
  required: Required,
  optional: Optional,
): DescribedStructure<StructureOf<Required, Optional>> {
  const entry = (isRequired: boolean) => (each: [string, Described<unknown>]) => {
    const member: MemberShape = {
      name: each[0],
      wireName: each[0],
      required: isRequired,
      shape: each[1].shape,
    };
    return [each[0], member] as const;
  };
  const members = new Map([
    ...Object.entries(required).map(entry(true)),
    ...Object.entries(optional).map(entry(false)),
  ]);
  return { shape: { kind: 'structure', name, members } };
}

export interface DescribedOperation<Request, Result> {
  readonly input: DescribedStructure<Request>;
  readonly output: DescribedStructure<Result>;
}

export function operation<Request, Result>(
  input: DescribedStructure<Request>,
  output: DescribedStructure<Result>,
): DescribedOperation<Request, Result> {
  return { input, output };
}

export function modelOf(name: string, described: DescribedOperation<unknown, unknown>): OperationModel {
  return { name, input: described.input.shape, output: described.output.shape };
}
