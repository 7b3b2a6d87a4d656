/** The simulation as a test: some schedules, repeatability, and that it finds faults made on purpose. */
import { describe, expect, test } from 'vitest';
import { mutants } from './mutants.ts';
import { run } from './run.ts';
import { faultKinds, scheduleOf } from './schedule.ts';

const seed = 20261123;

test('no schedule breaks an invariant, and everything is tried', async () => {
  const counts: Record<string, number> = {};
  let writes = 0;
  for (let number = 0; number < 1_000; number += 1) {
    const outcome = await run(scheduleOf(seed, number));
    expect({ seed, number, violations: outcome.violations }).toEqual({ seed, number, violations: [] });
    for (const [what, count] of Object.entries(outcome.counts)) counts[what] = (counts[what] ?? 0) + count;
    writes += outcome.acknowledgedWrites;
  }
  expect(writes).toBeGreaterThan(10_000);
  const missed = [
    ...faultKinds.map((kind) => `fault: ${kind}`),
    ...['start-node', 'stop-node', 'decide-primary', 'promote', 'switch-over', 'replicate', 'listen'].map(
      (kind) => `step: ${kind}`,
    ),
    ...['lift-fence', 'remove-node', 'end-handover'].map((kind) => `step: ${kind}`),
    ...['seen: fenced', 'seen: unreachable', 'lease: writes taken away', 'lease: every other host consented'],
    ...['message lost: order', 'message lost: answer', 'message late: order'],
    ...['replication: whole copy', 'replication: went on from its offset'],
  ].filter((what) => (counts[what] ?? 0) < 5);
  expect(missed).toEqual([]);
});

test('the same schedule gives the same run, another one another', async () => {
  const told = async (number: number) => (await run(scheduleOf(7, number), { tellStory: true })).story;
  const [one, again, other] = [await told(3), await told(3), await told(4)];
  expect(one.length).toBeGreaterThan(5);
  expect(again).toEqual(one);
  expect(other).not.toEqual(one);
});

describe('faults made on purpose are found', () => {
  test.each(mutants)('$name', async ({ create, withinSchedules, focus }) => {
    let found: unknown;
    for (let number = 0; number < withinSchedules && found === undefined; number += 1) {
      [found] = (await run(scheduleOf(seed, number, focus), { mutation: create() })).violations;
    }
    expect(found).toBeDefined();
  });
});
