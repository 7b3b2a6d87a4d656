import { expect, test } from 'vitest';
import { CacheConfigError } from '../errors.ts';
import { Dependencies } from './dependencies.ts';

const product = {
  name: 'product',
  prefix: 'product:1:',
  watches: [
    { table: 'public.products', key: (row: Readonly<Record<string, string | null>>) => row.id },
    {
      table: 'public.tags',
      key: (row: Readonly<Record<string, string | null>>) => (row.products ?? '').split(',').filter(Boolean),
    },
  ],
};

test('rows lead to keys, old and new, one or many or none', () => {
  const dependencies = new Dependencies([product]);
  const keys = new Set<string>();
  const change = { table: 'public.products', identified: true };
  dependencies.collect({ ...change, before: { id: '1' }, after: { id: '2' } }, keys);
  dependencies.collect({ ...change, before: undefined, after: { id: null } }, keys);
  dependencies.collect(
    { ...change, table: 'public.tags', before: undefined, after: { products: '5,6' } },
    keys,
  );
  dependencies.collect({ ...change, table: 'public.other', before: undefined, after: { id: '9' } }, keys);
  expect([...keys]).toEqual(['product:1:1', 'product:1:2', 'product:1:5', 'product:1:6']);
});

test('the columns that watches read are found by asking them', () => {
  expect(new Dependencies([product]).tables).toEqual([
    { table: 'public.products', columns: ['id'], appendOnly: false },
    { table: 'public.tags', columns: ['products'], appendOnly: false },
  ]);
});

test('a key function that throws, and watching nothing, are refused', () => {
  const key = (): string => {
    throw new Error('no');
  };
  expect(() => new Dependencies([{ ...product, watches: [{ table: 'public.x', key }] }])).toThrow(
    CacheConfigError,
  );
  expect(() => new Dependencies([{ ...product, watches: [] }])).toThrow(CacheConfigError);
});
