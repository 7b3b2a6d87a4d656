/**
 * The AWS query protocol, server side: form pairs in, a typed object out.
 *
 * The walk follows the schema and looks each part of a key up in it; the input never names a property. So
 * `__proto__` is just an unknown member, the depth of the result is the depth of the model, and a sparse index costs
 * one map entry.
 *
 * What is unknown is ignored, as AWS does, so that newer clients keep working. What is known but wrong is refused.
 */
import { serviceError } from '../errors.ts';
import type {
  ListShape,
  MapShape,
  MemberShape,
  OperationModel,
  Shape,
  StructureShape,
} from '../service-model.ts';
import type { Pair } from './form.ts';
import { notOne } from './not-one.ts';
import { type InputNumbers, parseScalar, type Scalar } from './scalar.ts';

export const MAX_LIST_INDEX = 10_000;

export type DecodedValue = Scalar | DecodedValue[] | DecodedStructure;
export interface DecodedStructure {
  [member: string]: DecodedValue;
}

/**
 * Decodes a request's parameters by the operation's input shape. `Action`, `Version` and whatever else the shape
 * does not name are ignored.
 *
 * Lists take any item name before the index (`Tags.Tag.1`, `Tags.member.1`); items are ordered by index and gaps
 * close. `X=` is a present, empty list (or structure).
 *
 * @throws ServiceError InvalidParameterValueException for a scalar that is none of its type and for an absent
 *   required member; MalformedInput for a key given twice, a list index that is no number from 1 to MAX_LIST_INDEX,
 *   or a value where the model has a structure.
 */
export function decodeQuery(
  operation: OperationModel,
  pairs: readonly Pair[],
  inputNumbers: InputNumbers,
): DecodedStructure {
  const root: StructureNode = { kind: 'structure', shape: operation.input, members: new Map() };
  for (const [key, value] of pairs) place(root, key, value, inputNumbers);
  return finishStructure(root, '');
}

// The result is built in two steps: nodes while keys still arrive in any order, then plain values with every list
// dense and every requirement checked.
type Node = StructureNode | ListNode | MapNode | ScalarNode;

interface StructureNode {
  readonly kind: 'structure';
  readonly shape: StructureShape;
  readonly members: Map<MemberShape, Node>;
}

interface ListNode {
  readonly kind: 'list';
  readonly shape: ListShape;
  readonly items: Map<number, Node>;
}

interface MapNode {
  readonly kind: 'map';
  readonly shape: MapShape;
  readonly entries: Map<number, StructureNode>;
}

interface ScalarNode {
  readonly kind: 'scalar';
  value: Scalar | undefined;
}

function place(root: StructureNode, key: string, value: string, inputNumbers: InputNumbers): void {
  const path = key.split('.');
  let node: Node = root;
  let shape: Shape = root.shape;
  for (let depth = 0; depth < path.length; ) {
    if (node.kind === 'structure') {
      const member = node.shape.members.get(path[depth] ?? '');
      if (member === undefined) return;
      const child: Node = node.members.get(member) ?? newNode(member.shape);
      node.members.set(member, child);
      node = child;
      shape = member.shape;
      depth += 1;
    } else if (node.kind === 'list') {
      // Two parts at once: the item name, whatever it is, and the index.
      const rest = path.length - depth;
      // `Tags.Tag=` is how some clients spell an empty list.
      if (rest === 1 && value === '') return;
      const index = listIndex(path[depth + 1], key);
      const child: Node = node.items.get(index) ?? newNode(node.shape.item);
      node.items.set(index, child);
      shape = node.shape.item;
      node = child;
      depth += 2;
    } else if (node.kind === 'map') {
      // `Attributes.entry.1.key`: an entry is read as a structure of a key and a value.
      const rest = path.length - depth;
      if (rest === 1 && value === '') return;
      const index = listIndex(path[depth + 1], key);
      shape = entryShape(node.shape);
      const child: StructureNode = node.entries.get(index) ?? {
        kind: 'structure',
        shape,
        members: new Map(),
      };
      node.entries.set(index, child);
      node = child;
      depth += 2;
    } else {
      throw malformed(`The parameter ${quoted(key)} has members where the model has a plain value.`);
    }
  }
  if (node.kind === 'scalar') {
    if (node.value !== undefined) throw malformed(`The parameter ${quoted(key)} is given more than once.`);
    node.value = parseScalar(shape, key, value, inputNumbers);
  } else if (value !== '') {
    throw malformed(`The parameter ${quoted(key)} is a ${node.kind} and can't be given as a plain value.`);
  }
}

function newNode(shape: Shape): Node {
  if (shape.kind === 'structure') return { kind: 'structure', shape, members: new Map() };
  if (shape.kind === 'list') return { kind: 'list', shape, items: new Map() };
  if (shape.kind === 'map') return { kind: 'map', shape, entries: new Map() };
  return { kind: 'scalar', value: undefined };
}

/** One for each map of a model: members are told apart by identity. */
const entryShapes = new WeakMap<MapShape, StructureShape>();

function entryShape(map: MapShape): StructureShape {
  const known = entryShapes.get(map);
  if (known !== undefined) return known;
  const member = (name: string, shape: Shape): [string, MemberShape] => [
    name,
    { name, wireName: name, required: true, shape },
  ];
  const members = new Map([member('key', { kind: 'string' }), member('value', map.value)]);
  const shape: StructureShape = { kind: 'structure', name: 'entry', members };
  entryShapes.set(map, shape);
  return shape;
}

function listIndex(text: string | undefined, key: string): number {
  const index = text !== undefined && /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (index < 1 || index > MAX_LIST_INDEX) {
    throw malformed(
      `The parameter ${quoted(key)} is a list: it needs an index from 1 to ${MAX_LIST_INDEX} behind the item name.`,
    );
  }
  return index;
}

function finishStructure(node: StructureNode, path: string): DecodedStructure {
  const result: DecodedStructure = {};
  for (const member of node.shape.members.values()) {
    const child = node.members.get(member);
    const memberPath = path === '' ? member.wireName : `${path}.${member.wireName}`;
    const value = child === undefined ? undefined : finish(child, memberPath);
    if (value !== undefined) {
      result[member.name] = value;
    } else if (member.required && node.shape.union === undefined) {
      throw serviceError(
        'InvalidParameterValueException',
        `The parameter ${quoted(memberPath)} must be provided.`,
      );
    }
  }
  if (node.shape.union !== undefined && Object.keys(result).length !== 1) throw notOne(node.shape, path);
  return result;
}

function finish(node: Node, path: string): DecodedValue | undefined {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'structure') return finishStructure(node, path);
  if (node.kind === 'map') {
    const entries = [...node.entries].map(([index, entry]) => {
      const { key, value } = finishStructure(entry, `${path}.entry.${index}`);
      return [String(key), value!] as const;
    });
    return Object.fromEntries(entries);
  }
  const items: DecodedValue[] = [];
  const byIndex = [...node.items].sort(([a], [b]) => a - b);
  for (const [index, item] of byIndex) {
    const value = finish(item, `${path}.${node.shape.itemName}.${index}`);
    if (value !== undefined) items.push(value);
  }
  return items;
}

function malformed(message: string) {
  return serviceError('MalformedInput', message);
}

/** A key comes from the client: shortened before it is echoed. */
function quoted(key: string): string {
  return key.length <= 100 ? key : `${key.slice(0, 100)}…`;
}
