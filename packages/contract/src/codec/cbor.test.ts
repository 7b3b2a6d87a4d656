import { cbor, tag } from '@smithy/core/cbor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cloudWatch } from '../cloudwatch/model.ts';
import { isServiceError } from '../errors.ts';
import { decodeCbor, encodeCbor, MAX_CBOR_DEPTH, MAX_CBOR_VALUES } from './cbor.ts';

const put = cloudWatch.operations.get('PutMetricData')!;
const setState = cloudWatch.operations.get('SetAlarmState')!;
const serialize = (value: unknown) => new Uint8Array(cbor.serialize(value));
const state = { AlarmName: 'a', StateValue: 'OK', StateReason: 'r' };

const refusal = (bytes: Uint8Array, model = setState) => {
  try {
    return decodeCbor(model, bytes);
  } catch (error) {
    return (error as { code: string }).code;
  }
};

const nested = (depth: number) => Array<number>(depth).fill(0x81).concat(0x01);
/** `{"x": …}` */
const under = (...bytes: number[]) => underAll(bytes);
const underAll = (bytes: number[]) => Uint8Array.from([0xa1, 0x61, 0x78].concat(bytes));

test.each<[string, Uint8Array]>([
  ['the end of the bytes', serialize(state).subarray(0, -1)],
  ['a second value', new Uint8Array([...serialize(state), 0x01])],
  ['a list', new Uint8Array([0x80])],
  ['a list longer than the request', under(0x9b, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ['a map longer than the request', under(0xba, 0xff, 0xff, 0xff, 0xff)],
  ['a text longer than the request', under(0x7b, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00)],
  ['a text that is no UTF-8', under(0x61, 0xff)],
  ['a key that is no text', new Uint8Array([0xa1, 0x01, 0x01])],
  ['a key twice', new Uint8Array([0xa2, 0x61, 0x78, 0x01, 0x61, 0x78, 0x01])],
  ['a break outside', new Uint8Array([0xff])],
  ['a break in a list of known length', under(0x81, 0xff)],
  ['a tag of indefinite length', under(0xdf)],
  ['chunks of indefinite length', under(0x7f, 0x7f, 0xff, 0xff)],
  ['chunks of another kind', under(0x7f, 0x41, 0x61, 0xff)],
  ['a reserved length', under(0x1c)],
  ['a time that is a text', under(0xc1, 0x61, 0x61)],
  ['too deep nesting', underAll(nested(MAX_CBOR_DEPTH))],
  ['nesting that would end the stack', underAll(nested(900_000))],
  ['endless lists', new Uint8Array(900_000).fill(0x9f)],
  ['too many values', underAll([0x9f].concat(Array<number>(MAX_CBOR_VALUES).fill(0x01), 0xff))],
])('refuses %s', (_, bytes) => {
  expect(refusal(bytes)).toBe('MalformedInput');
  expect(refusal(bytes, put)).toBe('MalformedInput');
});

test('a time without its tag is none', () => {
  const bytes = serialize({ Namespace: 'n', MetricData: [{ MetricName: 'a', Timestamp: 5 }] });
  expect(refusal(bytes, put)).toBe('MalformedInput');
});

test('what nests as deep as is allowed is passed over', () => {
  const bytes = serialize(state);
  const deep = Uint8Array.from([0xa4, ...bytes.subarray(1), 0x61, 0x78].concat(nested(MAX_CBOR_DEPTH - 1)));
  expect(decodeCbor(setState, deep)).toEqual(state);
});

test.each([
  ['half', [0xf9, 0x3e, 0x00], 1.5],
  ['half, of the smallest', [0xf9, 0x00, 0x01], 2 ** -24],
  ['single', [0xfa, 0x3f, 0xc0, 0x00, 0x00], 1.5],
  ['double', [0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5],
  ['whole', [0x18, 0xff], 255],
  ['negative', [0x39, 0x01, 0x00], -257],
  ['of 64 bits', [0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0], 2 ** 53],
  ['with a tag that says nothing here', [0xd8, 0x40, 0x05], 5],
])('a number: %s', (_, bytes, expected) => {
  const value = Buffer.from([0xa1, 0x65, ...Buffer.from('Value'), ...bytes]);
  const name = serialize({ MetricName: 'a' }).subarray(1);
  const datum = Buffer.concat([Buffer.from([0xa2]), name, value.subarray(1)]);
  const body = Buffer.concat([
    Buffer.from([0xa2]),
    serialize({ Namespace: 'n' }).subarray(1),
    Buffer.from([0x6a]),
    Buffer.from('MetricData'),
    Buffer.from([0x81]),
    datum,
  ]);
  expect(decodeCbor(put, body)).toEqual({
    Namespace: 'n',
    MetricData: [{ MetricName: 'a', Value: expected }],
  });
});

test('neither infinity nor what is no number is one', () => {
  for (const Value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(refusal(serialize({ Namespace: 'n', MetricData: [{ MetricName: 'a', Value }] }), put)).toBe(
      'MalformedInput',
    );
  }
});

test('whatever the bytes are, they are decoded or refused', () => {
  const valid = serialize({
    Namespace: 'n',
    MetricData: [
      { MetricName: 'a', Timestamp: tag({ tag: 1, value: 1.5 }), Dimensions: [{ Name: 'd', Value: 'v' }] },
    ],
  });
  const changed = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = Uint8Array.from(valid);
      for (const [at, byte] of changes) bytes[at] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), changed), (bytes) => {
      try {
        expect(Object.getPrototypeOf(decodeCbor(put, bytes))).toBe(Object.prototype);
      } catch (error) {
        if (!isServiceError(error)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
});

test('an answer that was written stays when the next one is', () => {
  const model = cloudWatch.operations.get('GetDashboard')!;
  const first = encodeCbor(model, { DashboardName: 'first' });
  encodeCbor(model, { DashboardName: 'other' });
  expect(cbor.deserialize(first)).toEqual({ DashboardName: 'first' });
});
