import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chosenSeed, randomFrom } from '../../../../testing/seed.ts';
import { inPoints, outPoints, type PolicyLoad, planScaling, type ScalingClock } from './plan.ts';

const periodMs = 60_000;
const clock: ScalingClock = { nowMs: 100 * periodMs, periodMs };
const target = {
  minCapacity: 1,
  maxCapacity: 20,
  suspended: { scaleIn: false, scaleOut: false, scheduled: false },
  boundsDue: false,
};

type Target = Parameters<typeof planScaling>[0];

/** The newest value last, and of this moment. */
function load(
  values: readonly (number | undefined)[],
  configuration: Partial<PolicyLoad['configuration']> = {},
  { complete = true, name = 'cpu' } = {},
): PolicyLoad {
  const points = values.map((value, index) => ({
    atMs: clock.nowMs - (values.length - 1 - index) * periodMs,
    value,
    complete: complete && value !== undefined,
  }));
  return { name, configuration: { TargetValue: 50, ...configuration }, points };
}

const steady = (value: number | undefined, count = inPoints) => Array<number | undefined>(count).fill(value);
const plan = (capacity: number, policies: readonly PolicyLoad[], change: Partial<Target> = {}) =>
  planScaling({ ...target, ...change }, capacity, policies, clock);
const to = (decision: ReturnType<typeof planScaling>) =>
  decision.kind === 'scale' ? decision.to : undefined;

describe('out', () => {
  test.each([
    ['by one at least', 1, 55, 2],
    ['by a fifth at least', 10, 51, 12],
    ['by how far it is above', 10, 75, 15],
    ['to no more than the maximum', 18, 100, 20],
  ])('%s: of %i at %i', (_, capacity, value, wanted) => {
    expect(to(plan(capacity, [load(steady(value))]))).toBe(wanted);
  });

  test('at its target is not above it; nor is a peak between two looks that are not', () => {
    expect(to(plan(2, [load(steady(50))]))).toBeUndefined();
    expect(to(plan(2, [load([99, 50, 99])]))).toBeUndefined();
  });

  test('needs as many looks as it says, in a row and of late', () => {
    expect(to(plan(2, [load(steady(90, outPoints - 1))]))).toBeUndefined();
    expect(to(plan(2, [load([90, undefined, 90])]))).toBeUndefined();
    const old = load(steady(90));
    const points = old.points.map((point) => ({ ...point, atMs: point.atMs - 5 * periodMs }));
    expect(to(plan(2, [{ ...old, points }]))).toBeUndefined();
  });

  test('a shard that is not known hides no hot one', () => {
    expect(to(plan(2, [load(steady(90), {}, { complete: false })]))).toBe(4);
  });

  test('the policy that asks for most decides', () => {
    const decision = plan(4, [load(steady(60)), load(steady(100), {}, { name: 'connections' })]);
    expect(decision).toMatchObject({ kind: 'scale', to: 8, because: expect.stringContaining('connections') });
  });

  test('not at the maximum, and says so; not while suspended or cooling down', () => {
    expect(plan(20, [load(steady(90))])).toMatchObject({ notScaled: { code: 'AlreadyAtMaxCapacity' } });
    const suspended = { ...target.suspended, scaleOut: true };
    expect(to(plan(2, [load(steady(90))], { suspended }))).toBeUndefined();
    const lastOutAtMs = clock.nowMs - 9 * periodMs;
    expect(to(plan(2, [load(steady(90))], { lastOutAtMs }))).toBeUndefined();
    expect(to(plan(2, [load(steady(90), { ScaleOutCooldown: 540 })], { lastOutAtMs }))).toBe(4);
  });

  test('what was seen before the last change does not count', () => {
    const quick = { ScaleOutCooldown: 0 };
    const change = { lastOutAtMs: clock.nowMs - 2 * periodMs };
    expect(to(plan(2, [load(steady(90), quick)], change))).toBeUndefined();
    expect(to(plan(2, [load(steady(90), quick)], { lastOutAtMs: clock.nowMs - 3 * periodMs }))).toBe(4);
  });
});

describe('in', () => {
  test('below three quarters, as far as what is left stays below the target', () => {
    expect(to(plan(10, [load(steady(37.5))]))).toBeUndefined();
    expect(to(plan(10, [load(steady(30))]))).toBe(7);
    expect(to(plan(10, [load(steady(0))]))).toBe(1);
  });

  test('not where the rest would be above the target again', () => {
    expect(plan(2, [load(steady(30))])).toMatchObject({
      kind: 'keep',
      notScaled: { code: 'AutoScalingAnticipatedFlapping' },
    });
  });

  test('all policies must be low, and known: no data is not low', () => {
    const low = load(steady(5));
    expect(to(plan(4, [low, load(steady(45))]))).toBeUndefined();
    expect(to(plan(4, [low, load(steady(undefined))]))).toBeUndefined();
    expect(to(plan(4, [low, load([])]))).toBeUndefined();
    expect(to(plan(4, [low, load(steady(5), {}, { complete: false })]))).toBeUndefined();
    expect(to(plan(4, [low, load(steady(5, inPoints - 1))]))).toBeUndefined();
    expect(to(plan(4, [low, load(steady(20))]))).toBe(2);
  });

  test('not when it is disabled, suspended or cooling down', () => {
    expect(to(plan(4, [load(steady(0), { DisableScaleIn: true })]))).toBeUndefined();
    const suspended = { ...target.suspended, scaleIn: true };
    expect(to(plan(4, [load(steady(0))], { suspended }))).toBeUndefined();
    const values = load(steady(0), { ScaleInCooldown: 901 });
    expect(to(plan(4, [values], { lastOutAtMs: clock.nowMs - inPoints * periodMs }))).toBeUndefined();
    expect(to(plan(4, [load(steady(0))], { lastOutAtMs: clock.nowMs - inPoints * periodMs }))).toBe(1);
  });
});

describe('bounds', () => {
  test('are kept with a policy, or when a scheduled action has set them', () => {
    const bounds = { minCapacity: 3, maxCapacity: 5 };
    expect(to(plan(1, [load([])], bounds))).toBe(3);
    expect(to(plan(9, [load([])], bounds))).toBe(5);
    expect(to(plan(1, [], bounds))).toBeUndefined();
    expect(to(plan(1, [], { ...bounds, boundsDue: true }))).toBe(3);
  });

  test('what was refused is not asked for at every look', () => {
    const bounds = { minCapacity: 3, maxCapacity: 5 };
    expect(
      to(plan(1, [load([])], { ...bounds, lastFailureAtMs: clock.nowMs - 4 * periodMs })),
    ).toBeUndefined();
    expect(to(plan(1, [load([])], { ...bounds, lastFailureAtMs: clock.nowMs - 5 * periodMs }))).toBe(3);
  });
});

test('whatever is seen: within bounds, and in the direction it says', () => {
  const value = fc.option(fc.double({ min: 0, max: 500, noNaN: true }), { nil: undefined });
  const policy = fc.record({
    values: fc.array(value, { maxLength: 20 }),
    TargetValue: fc.double({ min: 0.1, max: 100, noNaN: true }),
    DisableScaleIn: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 25 }),
      (policies, a, b, capacity) => {
        const minCapacity = Math.min(a, b);
        const maxCapacity = Math.max(a, b);
        const loads = policies.map(({ values, ...configuration }) => load(values, configuration));
        const decision = plan(capacity, loads, { minCapacity, maxCapacity });
        if (decision.kind === 'keep') return;
        expect(decision.to).toBeGreaterThanOrEqual(minCapacity);
        expect(decision.to).toBeLessThanOrEqual(maxCapacity);
        expect(Math.sign(decision.to - capacity)).toBe(decision.direction === 'out' ? 1 : -1);
        if (decision.direction === 'out' || capacity > maxCapacity) return;
        // In only by what every policy has seen for long enough, and with one that scales in.
        for (const { values, TargetValue } of policies) {
          expect(values.slice(-inPoints)).toHaveLength(inPoints);
          for (const each of values.slice(-inPoints)) expect(each).toBeLessThan(0.75 * TargetValue);
        }
        expect(policies.some(({ DisableScaleIn }) => !DisableScaleIn)).toBe(true);
      },
    ),
    { numRuns: 2_000 },
  );
});

interface Change {
  readonly atMinute: number;
  readonly from: number;
  readonly to: number;
}

/** A group whose metric is the load divided by its capacity. A change takes two minutes. */
function simulate(
  demandAt: (minute: number) => number,
  minutes: number,
  random: () => number,
  noise: number,
): { readonly changes: Change[]; readonly capacities: number[] } {
  const changes: Change[] = [];
  const capacities: number[] = [];
  const points: { atMs: number; value: number; complete: boolean }[] = [];
  let capacity = 2;
  let moments: Partial<Target> = {};
  let pending: { readonly to: number; readonly atMinute: number } | undefined;
  for (let minute = 0; minute < minutes; minute += 1) {
    const nowMs = minute * periodMs;
    if (pending !== undefined && minute >= pending.atMinute) {
      moments = { ...moments, ...(pending.to > capacity ? { lastOutAtMs: nowMs } : { lastInAtMs: nowMs }) };
      capacity = pending.to;
      pending = undefined;
    }
    const value = (demandAt(minute) / capacity) * (1 + noise * (2 * random() - 1));
    points.push({ atMs: nowMs, value, complete: true });
    capacities.push(capacity);
    if (pending !== undefined) continue;
    const policies = [
      { name: 'cpu', configuration: { TargetValue: 50 }, points: points.slice(-2 * inPoints) },
    ];
    const decision = planScaling({ ...target, ...moments }, capacity, policies, { nowMs, periodMs });
    if (decision.kind === 'keep') continue;
    changes.push({ atMinute: minute, from: capacity, to: decision.to });
    pending = { to: decision.to, atMinute: minute + 2 };
  }
  return { changes, capacities };
}

describe('a day', () => {
  test('load ramps up and away: the capacity follows both ways, inside its cooldowns, and turns once', () => {
    const random = randomFrom(chosenSeed('ramp'));
    for (let run = 0; run < 200; run += 1) {
      const peak = 200 + random() * 600;
      const noise = random() * 0.08;
      const ramp = 60 + random() * 200;
      const demandAt = (minute: number) =>
        60 + peak * Math.max(0, Math.min(1, minute / ramp, (ramp + 300 + ramp - minute) / ramp));
      const { changes, capacities } = simulate(demandAt, Math.ceil(2 * ramp + 300 + 240), random, noise);
      const signs = changes.map(({ from, to }) => Math.sign(to - from));
      expect(
        signs.filter((sign, index) => index > 0 && sign !== signs[index - 1]).length,
      ).toBeLessThanOrEqual(1);
      // At the end of the plateau the metric is at its target or below; long after, the capacity is small again.
      const plateau = capacities[Math.floor(ramp + 299)]!;
      expect((60 + peak) / plateau).toBeLessThanOrEqual(50 * (1 + noise));
      expect(capacities.at(-1)).toBeLessThanOrEqual(2);
      for (const [index, { atMinute, from, to }] of changes.entries()) {
        const before = changes[index - 1];
        if (before === undefined) continue;
        const cooldownMinutes = to > from ? 10 : 15;
        expect(atMinute - (before.atMinute + 2)).toBeGreaterThanOrEqual(cooldownMinutes);
      }
    }
  });

  test('under a steady load it settles and never turns: no flapping', () => {
    const random = randomFrom(chosenSeed('steady'));
    for (let run = 0; run < 300; run += 1) {
      const demand = random() * 900;
      const { changes } = simulate(() => demand, 600, random, random() * 0.05);
      const signs = new Set(changes.map(({ from, to }) => Math.sign(to - from)));
      expect([demand, signs.size]).toEqual([demand, Math.min(signs.size, 1)]);
      // A load just at the target may pass it late, by chance, once: then there is room.
      expect(changes.filter(({ atMinute }) => atMinute > 300).length).toBeLessThanOrEqual(1);
    }
  });
});
