import { expect, test } from 'vitest';
import { sns, snsErrors } from './model.ts';

test('errors have the codes and statuses that the SDK models', () => {
  const modelled = new Map(
    [...sns.errors.values()].map(({ wireCode, httpStatus }) => [wireCode, httpStatus]),
  );
  for (const [code, status] of Object.entries(snsErrors))
    expect([code, modelled.get(code)]).toEqual([code, status]);
});
