/** The promise: the chaos harness sees what it says it sees. One repetition of its cheapest fault; nothing is timed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { figuresOf } from './judge-history.ts';
import { type LarderStage, larderStage } from './larder-stage.ts';
import { primaryOf } from './node-look.ts';
import { killed, thePrimary } from './process-faults.ts';
import { repeatOnce, usualCourse } from './repetition.ts';

let stage: LarderStage;

beforeAll(async () => {
  stage = await larderStage({ replicas: 2 });
});

afterAll(async () => {
  await stage?.close();
});

test('the primary is killed under traffic: the history is whole, and nothing acknowledged is lost', async () => {
  const before = await primaryOf(stage);
  const { history } = await repeatOnce(stage, killed(thePrimary), usualCourse);
  const after = await primaryOf(stage);
  expect(after.name).not.toBe(before.name);

  // Without these the zeros below would mean nothing.
  expect(history.victim.primary).toBe(before.name);
  const { faultMs } = history;
  const acknowledged = history.writes.filter(({ ackedMs }) => ackedMs !== undefined);
  expect(acknowledged.some(({ ackedMs }) => ackedMs! < faultMs)).toBe(true);
  expect(acknowledged.some(({ sentMs }) => sentMs > faultMs)).toBe(true);
  expect(history.clinging.some(({ ackedMs }) => ackedMs !== undefined)).toBe(true);
  expect(history.reads.count).toBeGreaterThan(0);
  const accepting = new Set(history.probes.filter((each) => each.accepted).map(({ node }) => node));
  expect(accepting).toEqual(new Set([before.name, after.name]));
  expect(new Set(history.probes.map(({ node }) => node)).size).toBe(3);

  expect(figuresOf(history)).toMatchObject({ lost: 0, zombies: 0, splitBrainMs: 0, staleReads: 0 });
  expect(history.errors).toEqual({});
});
