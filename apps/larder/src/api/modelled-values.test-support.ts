/** Tests only: any request and any answer of an operation, by its model. */
import type { OperationModel, Shape, StructureShape } from '@larder/contract/service-model';
import fc from 'fast-check';

export interface Wire {
  readonly numbers: 'int32' | 'double';
  /** Answers are XML, and requests forms: not everything can be said. */
  readonly isXml: boolean;
}

export function valuesOf(
  { input, output }: OperationModel,
  wire: Wire,
): { readonly input: fc.Arbitrary<object>; readonly output: fc.Arbitrary<object> } {
  return {
    input: structure(input, 'input', wire),
    output: output === undefined ? fc.constant({}) : structure(output, 'output', wire),
  };
}

type Direction = 'input' | 'output';

function structure(shape: StructureShape, direction: Direction, wire: Wire): fc.Arbitrary<object> {
  const members = [...shape.members.values()];
  if (shape.union) {
    return fc.oneof(
      // Without members a structure has no form in a query.
      ...members
        .filter(({ shape: each }) => !wire.isXml || each.kind !== 'structure' || each.members.size > 0)
        .map(({ name, shape: each }) =>
          fc.record({ [name]: value(each, direction, wire) }, { noNullPrototype: true }),
        ),
    );
  }
  const required = members.filter((member) => member.required).map((member) => member.name);
  // An empty structure has no form in a query, so a nested one in a request always has a member.
  const first = members[0]?.name;
  const requiredKeys = required.length === 0 && first !== undefined ? [first] : required;
  return fc.record(
    Object.fromEntries(members.map((member) => [member.name, value(member.shape, direction, wire)])),
    { requiredKeys: direction === 'input' ? requiredKeys : required, noNullPrototype: true },
  );
}

function value(shape: Shape, direction: Direction, wire: Wire): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'string':
      return direction === 'input' || !wire.isXml ? fc.string({ unit: 'binary' }) : xmlText;
    case 'boolean':
      return fc.boolean();
    case 'number':
      return direction === 'input' && wire.numbers === 'int32'
        ? fc.integer()
        : fc.oneof(fc.integer(), doubles);
    case 'timestamp':
      return fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      });
    case 'blob':
      return fc.uint8Array({ minLength: 1, maxLength: 20 });
    case 'map':
      return fc.dictionary(mapKey, value(shape.value, direction, wire), {
        minKeys: direction === 'input' && wire.isXml ? 1 : 0,
        maxKeys: 3,
        noNullPrototype: true,
      });
    case 'list':
      return fc.array(value(shape.item, direction, wire), { maxLength: 3 });
    case 'structure':
      return structure(shape, direction, wire);
  }
}

const mapKey = fc.string({ unit: 'grapheme-ascii', minLength: 1 }).filter((key) => key.trim() === key);
const doubles = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0);

/**
 * Text that XML can hold (no control characters but tab and line breaks) and the SDK can read: it takes blank text
 * with a line break in it for indentation.
 */
const xmlText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...'\t\n\r <>&"\'\u0085\u2028'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes.
  .map((text) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, ''))
  .map((text) => (text.trim() === '' && text.includes('\n') ? `x${text}` : text));
