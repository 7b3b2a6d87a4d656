import { expect, test } from 'vitest';
import { type Combination, refusalOf } from './capabilities.ts';

const booleans = [true, false];

function* all(): Generator<Combination> {
  const sources = [
    undefined,
    ...booleans.flatMap((position) => booleans.map((visibility) => ({ position, visibility }))),
  ];
  for (const engine of ['stamps', 'leases'] as const)
    for (const guarantee of ['bounded', 'eventual'] as const)
      for (const source of sources)
        for (const eventsBeforeCommit of booleans)
          for (const transactions of booleans)
            for (const loaders of ['primary', 'replica'] as const)
              yield { engine, guarantee, source, eventsBeforeCommit, transactions, loaders };
}

/** `engine guarantee source events database`; everything that isn't here must be refused. */
const right = new Set([
  // Applications invalidate after their commit: right on both (leases: "fine for deletes issued after commit").
  'stamps bounded none after without',
  'stamps bounded none after with',
  'leases bounded none after without',
  'leases bounded none after with',
  'stamps eventual none after without',
  'leases eventual none after without',
  // Events stamped with transaction numbers: also right before the commit.
  'stamps eventual none after with',
  'stamps eventual none before with',
  // The watermark, and the lease with a visibility gate.
  'stamps bounded feed after without',
  'stamps bounded feed after with',
  'leases bounded feed after without',
  'leases bounded feed after with',
  'stamps eventual feed after without',
  'leases eventual feed after without',
]);

test('every combination is either known to be right, or refused', () => {
  let seen = 0;
  for (const combination of all()) {
    const { engine, guarantee, source, eventsBeforeCommit, transactions, loaders } = combination;
    const full = source === undefined ? 'none' : source.position && source.visibility ? 'feed' : 'poor';
    const name = `${engine} ${guarantee} ${full} ${eventsBeforeCommit ? 'before' : 'after'} ${transactions ? 'with' : 'without'}`;
    const refusal = refusalOf(combination);
    const expected = loaders === 'primary' && right.has(name);
    expect(refusal === undefined, `${name} ${loaders}: ${refusal}`).toBe(expected);
    if (refusal !== undefined) expect(refusal.length).toBeGreaterThan(40);
    seen += 1;
  }
  expect(seen).toBe(160);
});
