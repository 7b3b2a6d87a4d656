import { expect, test } from 'vitest';
import { FilterPatternError, parseFilterPattern } from './filter-pattern.ts';

const slow = JSON.stringify({
  CacheClusterId: 'shop-001',
  Id: 7,
  'Duration (us)': 12_000,
  Command: 'set ... (2 more arguments)',
  Client: { Name: 'till', Tags: ['a', 'b'] },
  Gone: null,
  Ok: true,
});

test.each<[string, string, boolean]>([
  ['', 'anything', true],
  ['ERROR', 'an ERROR here', true],
  ['ERROR', 'an error here', false],
  ['ERROR disk', 'disk: ERROR', true],
  ['ERROR disk', 'ERROR', false],
  ['"no space"', 'there is no space', true],
  ['"no space"', 'space no', false],
  ['ERROR -disk', 'ERROR disk', false],
  ['ERROR -"full disk"', 'ERROR disk', true],
  ['?ERROR ?WARN', 'WARN', true],
  ['?ERROR ?WARN', 'INFO', false],
  ['"a \\"b\\""', 'x a "b" y', true],
  ['{ $.Id = 7 }', slow, true],
  ['{ $.Id = "7" }', slow, false],
  ['{$.Id=7}', slow, true],
  ['{ $.Id != 7 }', slow, false],
  ['{ $.Nothing != 7 }', slow, false],
  ['{ $.Id >= 7 && $.Id < 8 }', slow, true],
  ['{ $.Id > 7 || $.["Duration (us)"] > 10000 }', slow, true],
  ["{ $.['Duration (us)'] <= 1e4 }", slow, false],
  ['{ $.CacheClusterId = "shop-*" }', slow, true],
  ['{ $.CacheClusterId = shop-* }', slow, true],
  ['{ $.CacheClusterId = "*op*00*" }', slow, true],
  ['{ $.CacheClusterId = "shop-*1*1" }', slow, false],
  ['{ $.Client.Name = "till" }', slow, true],
  ['{ $.Client.Tags[1] = "b" }', slow, true],
  ['{ $.Client.Tags.length = 2 }', slow, true],
  ['{ $.__proto__.x = 1 }', slow, false],
  ['{ $.Gone IS NULL }', slow, true],
  ['{ $.Id IS NULL }', slow, false],
  ['{ $.Ok IS TRUE }', slow, true],
  ['{ $.Ok IS FALSE }', slow, false],
  ['{ $.Nothing NOT EXISTS }', slow, true],
  ['{ ($.Id = 1 || $.Id = 7) && $.Ok IS TRUE }', slow, true],
  ['{ $.Id = 1 || $.Id = 7 && $.Ok IS FALSE }', slow, false],
  ['{ $.Id = 7 }', 'no JSON', false],
  ['{ $.Id = 7 }', '{ broken', false],
])('%s on %s', (pattern, message, expected) => {
  expect(parseFilterPattern(pattern)(message)).toBe(expected);
});

test.each([
  '"open',
  'a{b}',
  '{ $.Id }',
  '{ $.Id = }',
  '{ $.Id = 7',
  '{ $.Id = 7 } x',
  '{ Id = 7 }',
  '{ $.Id > "x" }',
  '{ $.Id ~ 7 }',
  '{ $.Id IS MISSING }',
  '{ }',
  `{ ${'('.repeat(11)}$.Id = 7${')'.repeat(11)} }`,
  `{ ${Array(60).fill('$.Id = 7').join(' || ')} }`,
  Array(51).fill('a').join(' '),
])('%s is refused', (pattern) => {
  expect(() => parseFilterPattern(pattern)).toThrow(FilterPatternError);
});
