/** The checker itself, and all variants within small bounds; `npm run model` takes larger ones. */
import { describe, expect, test } from 'vitest';
import { check, type Model } from './checker.ts';
import { variants } from './variants.ts';

/** Two counters that each step to `most`; wrong when both stand at `bad`. */
function counters(most: number, bad: number, interchangeable: boolean): Model<{ counts: number[] }> {
  return {
    initial: [{ counts: [0, 0] }],
    ...(interchangeable ? { interchangeable: 'counts' as const } : {}),
    steps({ counts }, take) {
      for (const [index, count] of counts.entries()) {
        if (count === most) continue;
        take(`${index} steps to ${count + 1}`, (next) => {
          next.counts[index] = count + 1;
        });
      }
    },
    violation: ({ counts }) => (counts.every((count) => count === bad) ? 'both are there' : undefined),
  };
}

test('visits every state once', () => {
  expect(check(counters(9, 10, false))).toMatchObject({ holds: true, states: 100, transitions: 180 });
  expect(check(counters(9, 10, true))).toMatchObject({ holds: true, states: 55 });
});

test.each([false, true])('a counterexample is a shortest one (interchangeable: %s)', (interchangeable) => {
  const { holds, schedule, violation } = check(counters(9, 2, interchangeable));
  expect(holds).toBe(false);
  expect(schedule).toHaveLength(4);
  expect(violation).toBe('both are there');
});

test('refuses to answer beyond its bound', () => {
  expect(() => check(counters(9, 10, false), { maxStates: 50 })).toThrow('More than 50 states');
});

describe('every protocol comes out as it must', () => {
  // These two have too many states even with one transaction; `npm run model` checks them.
  const heavy = new Set(['visible watermark: engine loses data', 'failover, repaired: consumer crashes']);
  test.each(variants.filter(({ name }) => !heavy.has(name)))('$name $expected', ({ run, expected, name }) => {
    const smaller = name.startsWith('failover, repaired') || name.startsWith('near tier:') ? 1 : 2;
    const { holds, schedule, states } = run({
      transactions: expected === 'holds' ? smaller : 2,
      fillers: 2,
    });
    expect(holds ? 'holds' : 'fails').toBe(expected);
    expect(states).toBeGreaterThan(10);
    expect(schedule.length > 0).toBe(expected === 'fails');
  });
});

test('the counterexample of a lease without gate is the one that we know', () => {
  const lease = variants.find(({ name }) => name === 'lease without gate')!;
  expect(lease.run({ transactions: 1, fillers: 1 }).schedule).toEqual([
    'database: the commit record of T1 enters the log',
    'consumer: deletes the entry and voids the lease, for T1',
    'filler A: misses and takes the lease',
    'filler A: loads the initial row from the primary',
    'filler A: fills the initial row: accepted',
  ]);
});
