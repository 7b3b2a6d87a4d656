import { expect, test } from 'vitest';
import { scalingOperationModel } from '../application-auto-scaling/model.ts';
import { decodeJson, encodeJson } from './json.ts';

const describeTargets = scalingOperationModel('DescribeScalableTargets');
const putAction = scalingOperationModel('PutScheduledAction');
const bytes = (text: string) => new TextEncoder().encode(text);
const decode = (text: string, model = describeTargets) => decodeJson(model, bytes(text));
const refusal = (text: string, model = describeTargets) => {
  try {
    decode(text, model);
    return 'taken';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('members by name; what is unknown or null is not there', () => {
  expect(
    decode('{"ServiceNamespace":"elasticache","ResourceIds":["a"],"Later":{"x":[1]},"NextToken":null}'),
  ).toEqual({
    ServiceNamespace: 'elasticache',
    ResourceIds: ['a'],
  });
});

test('a timestamp is seconds with a fraction, both ways', () => {
  const body =
    '{"ServiceNamespace":"e","ResourceId":"r","ScalableDimension":"d","ScheduledActionName":"a","StartTime":1700000000.5}';
  expect(decode(body, putAction).StartTime).toEqual(new Date(1_700_000_000_500));
  const answer = encodeJson(describeTargets, {
    ScalableTargets: [{ CreationTime: new Date(1_700_000_000_500), MinCapacity: 1 }],
    Other: 1,
  });
  expect(JSON.parse(answer)).toEqual({
    ScalableTargets: [{ CreationTime: 1_700_000_000.5, MinCapacity: 1 }],
  });
});

test.each([
  ['no JSON', '{"ServiceNamespace":', 'MalformedInput'],
  ['an array', '[]', 'MalformedInput'],
  ['a number for a string', '{"ServiceNamespace":1}', 'MalformedInput'],
  ['a string for a list', '{"ServiceNamespace":"e","ResourceIds":"a"}', 'MalformedInput'],
  ['nothing', '', 'ValidationError'],
  ['an empty text', '{"ServiceNamespace":""}', 'ValidationError'],
  ['a text that is too long', `{"ServiceNamespace":"${'x'.repeat(1601)}"}`, 'ValidationError'],
  ['too many items', `{"ServiceNamespace":"e","ResourceIds":[${'"a",'.repeat(50)}"a"]}`, 'ValidationError'],
  ['the prototype', '{"__proto__":{"ServiceNamespace":"e"}}', 'ValidationError'],
  ['what nests deeply', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'MalformedInput'],
])('refuses %s', (_, body, code) => {
  expect(refusal(body)).toBe(code);
});

test('refuses bytes that are no UTF-8, and a time that no Date holds', () => {
  expect(() => decodeJson(describeTargets, new Uint8Array([0x22, 0xff, 0x22]))).toThrow('not valid JSON');
  const at = (seconds: string) =>
    `{"ServiceNamespace":"e","ResourceId":"r","ScalableDimension":"d","ScheduledActionName":"a","StartTime":${seconds}}`;
  expect(refusal(at('1e13'), putAction)).toBe('MalformedInput');
  expect(refusal(at('"2023-01-01T00:00:00Z"'), putAction)).toBe('MalformedInput');
});

test('an answer that breaks the contract is not sent', () => {
  expect(() => encodeJson(describeTargets, { ScalableTargets: [{ MinCapacity: 'x' }] })).toThrow(
    'DescribeScalableTargets.ScalableTargets[0].MinCapacity',
  );
});
