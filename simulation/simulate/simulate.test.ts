/** The simulation as a test: some seeds, repeatability, shrinking, and that it finds faults made on purpose. */

import { libraryScripts, type Script } from '@larder/cache/testkit';
import { describe, expect, test } from 'vitest';
import { shrink } from '../shrink.ts';
import { mutants, WireScripts } from './mutants.ts';
import { faultKinds, type Plan, parts, planOf } from './plan.ts';
import { run } from './run.ts';

test('no seed breaks a promise', async () => {
  const from = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
  console.log(`seeds from ${from}; replay one with npm run simulate -- --seed SEED`);
  const kinds = new Set<string>();
  let [reads, near, far, stale, voided] = [0, 0, 0, 0, 0];
  for (let seed = from; seed < from + 30; seed += 1) {
    const outcome = await run(planOf(seed));
    expect({ seed, violations: outcome.violations }).toEqual({ seed, violations: [] });
    for (const kind of Object.keys(outcome.faults)) kinds.add(kind);
    reads += outcome.reads;
    near += outcome.nearHits;
    far += outcome.farHits;
    stale += outcome.staleHits;
    voided += outcome.voided;
  }
  // The cache was used, and what went wrong was of many kinds.
  expect(reads).toBeGreaterThan(1_500);
  expect(Math.min(near, far)).toBeGreaterThan(reads / 10);
  expect(Math.min(stale, voided)).toBeGreaterThan(0);
  expect(kinds.size).toBeGreaterThan(faultKinds.length / 2);
});

test('the same seed gives the same run, another seed another', async () => {
  const [one, again, other] = [await run(planOf(11)), await run(planOf(11)), await run(planOf(12))];
  expect(one.reads).toBeGreaterThan(20);
  expect(again.trace).toBe(one.trace);
  expect(other.trace).not.toBe(one.trace);
});

test('every mutant still finds what it changes', () => {
  for (const { create } of mutants) {
    const { scripts } = create();
    expect(() => new WireScripts(scripts)).not.toThrow();
  }
  const [{ name, source }] = libraryScripts as readonly [Script];
  expect(() => new WireScripts(new Map([[name, source]]))).toThrow('changes nothing');
});

describe('faults made on purpose are found', () => {
  const quick = mutants.filter(({ withinSeeds }) => withinSeeds <= 100);
  test.each(quick)('$name', async ({ create, withinSeeds }) => {
    let found: readonly string[] = [];
    for (let seed = 1; seed <= withinSeeds && found.length === 0; seed += 1) {
      found = (await run(planOf(seed), { mutation: create() })).violations;
    }
    expect(found).not.toEqual([]);
  });
});

test('a failing plan shrinks to what makes it fail', async () => {
  const plan = planOf(5);
  const needed: Plan['writes'] = plan.writes.slice(1, 3);
  const fails = async ({ writes }: Plan): Promise<boolean> => needed.every((each) => writes.includes(each));
  const small = await shrink({ ...plan, faults: planOf(6).faults }, parts, fails);
  expect(small).toMatchObject({ faults: [], reads: [], writes: needed });
});
