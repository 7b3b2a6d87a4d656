/**
 * Target tracking: which capacity the load asks for.
 *
 * Out by how far the metric is above its target, at least by a fifth and by one; in only while every policy's metric has
 * been below three quarters of its target, and only so far that what is left would stay below it: else the next look
 * would add again what was just taken away. What is not known is neither high nor low.
 */
import {
  defaultInCooldownSeconds,
  defaultOutCooldownSeconds,
  type NotScaled,
  type ScalableTarget,
  type TrackingConfiguration,
} from './scaling.ts';

/** One look at a policy's metric. */
export interface Datapoint {
  readonly atMs: number;
  /** The highest of the shards that are known; undefined when none is. */
  readonly value: number | undefined;
  /** Every shard is known: only then the value may be called low. */
  readonly complete: boolean;
}

export interface PolicyLoad {
  readonly name: string;
  readonly configuration: Pick<
    TrackingConfiguration,
    'TargetValue' | 'ScaleOutCooldown' | 'ScaleInCooldown' | 'DisableScaleIn'
  >;
  /** Oldest first. */
  readonly points: readonly Datapoint[];
}

export interface ScalingClock {
  readonly nowMs: number;
  /** From one look to the next. */
  readonly periodMs: number;
}

export type ScalingDecision =
  | { readonly kind: 'keep'; readonly because: string; readonly notScaled?: NotScaled }
  | {
      readonly kind: 'scale';
      readonly direction: 'out' | 'in';
      readonly to: number;
      readonly because: string;
    };

/** Looks in a row that must be above the target. */
export const outPoints = 3;
/** Looks in a row that must be below `lowShare` of the target. */
export const inPoints = 15;
const lowShare = 0.75;
const leastStepShare = 0.2;
/** Up to which part of its target a metric may be expected to rise when capacity goes. */
const filledShare = 0.9;
/** Looks to wait before what was refused is tried again. */
const retryPoints = 5;

type Bounds = Pick<
  ScalableTarget,
  'minCapacity' | 'maxCapacity' | 'suspended' | 'boundsDue' | 'lastOutAtMs' | 'lastInAtMs' | 'lastFailureAtMs'
>;

/** @param capacity of now. */
export function planScaling(
  target: Bounds,
  capacity: number,
  policies: readonly PolicyLoad[],
  clock: ScalingClock,
): ScalingDecision {
  if (policies.length === 0 && !target.boundsDue) return keep('there is no policy');
  const { lastFailureAtMs } = target;
  if (lastFailureAtMs !== undefined && clock.nowMs < lastFailureAtMs + retryPoints * clock.periodMs) {
    return keep('the last change was refused a moment ago');
  }
  const bounded = intoBounds(target, capacity);
  if (bounded !== undefined) return bounded;
  return scaleOut(target, capacity, policies, clock) ?? scaleIn(target, capacity, policies, clock);
}

function intoBounds(target: Bounds, capacity: number): ScalingDecision | undefined {
  const { minCapacity, maxCapacity, boundsDue, suspended } = target;
  if (capacity < minCapacity) {
    if (suspended.scaleOut && !boundsDue) return keep('scaling out is suspended');
    const because = `the capacity of ${capacity} is below the minimum of ${minCapacity}`;
    return { kind: 'scale', direction: 'out', to: minCapacity, because };
  }
  if (capacity > maxCapacity) {
    if (suspended.scaleIn && !boundsDue) return keep('scaling in is suspended');
    const because = `the capacity of ${capacity} is above the maximum of ${maxCapacity}`;
    return { kind: 'scale', direction: 'in', to: maxCapacity, because };
  }
  return undefined;
}

function scaleOut(
  target: Bounds,
  capacity: number,
  policies: readonly PolicyLoad[],
  clock: ScalingClock,
): ScalingDecision | undefined {
  let wanted = capacity;
  let because = '';
  for (const { name, configuration, points } of policies) {
    const { TargetValue: aim, ScaleOutCooldown: cooldown = defaultOutCooldownSeconds } = configuration;
    if (clock.nowMs < (target.lastOutAtMs ?? -Infinity) + cooldown * 1000) continue;
    const values = lastValues(points, outPoints, target, clock, ({ value }) => value);
    if (values === undefined || values.some((value) => value <= aim)) continue;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    // A fifth is rounded down: rounded up it would be a third of six, and some of it go again.
    const step = Math.max(1, Math.floor(capacity * leastStepShare), roundUp(capacity * (mean / aim - 1)));
    if (capacity + step <= wanted) continue;
    wanted = capacity + step;
    because = `policy ${name}: the metric is ${shown(mean)}, above its target of ${shown(aim)}`;
  }
  if (wanted === capacity) return undefined;
  if (target.suspended.scaleOut) return keep('scaling out is suspended');
  if (capacity >= target.maxCapacity) {
    return { ...keep(because), notScaled: { code: 'AlreadyAtMaxCapacity', capacity } };
  }
  return { kind: 'scale', direction: 'out', to: Math.min(wanted, target.maxCapacity), because };
}

function scaleIn(
  target: Bounds,
  capacity: number,
  policies: readonly PolicyLoad[],
  clock: ScalingClock,
): ScalingDecision {
  if (capacity <= target.minCapacity) return keep('the capacity is the minimum');
  if (!policies.some(({ configuration }) => configuration.DisableScaleIn !== true)) {
    return keep('no policy scales in');
  }
  const lastChangeAtMs = Math.max(target.lastOutAtMs ?? -Infinity, target.lastInAtMs ?? -Infinity);
  let needed = target.minCapacity;
  for (const { name, configuration, points } of policies) {
    const { TargetValue: aim, ScaleInCooldown: cooldown = defaultInCooldownSeconds } = configuration;
    const values = lastValues(points, inPoints, target, clock, ({ value, complete }) =>
      complete ? value : undefined,
    );
    if (values === undefined) return keep(`policy ${name}: too little is known of its metric`);
    const highest = Math.max(...values);
    if (highest >= lowShare * aim) return keep(`policy ${name}: the metric is not low`);
    if (clock.nowMs < lastChangeAtMs + cooldown * 1000) return keep(`policy ${name}: it cools down`);
    needed = Math.max(needed, roundUp((capacity * highest) / (filledShare * aim)));
  }
  if (needed >= capacity) {
    return {
      ...keep('with less capacity a metric would be near its target again'),
      notScaled: { code: 'AutoScalingAnticipatedFlapping', capacity },
    };
  }
  if (target.suspended.scaleIn) return keep('scaling in is suspended');
  const because = `every metric is below ${lowShare * 100} % of its target`;
  return { kind: 'scale', direction: 'in', to: needed, because };
}

/**
 * The last `count` values, all since the last change; undefined when one is not known, or when they are no row: a gap of
 * more than two periods is a gap.
 */
function lastValues(
  points: readonly Datapoint[],
  count: number,
  { lastOutAtMs = -Infinity, lastInAtMs = -Infinity }: Bounds,
  { nowMs, periodMs }: ScalingClock,
  read: (point: Datapoint) => number | undefined,
): number[] | undefined {
  const recent = points.filter(({ atMs }) => atMs > Math.max(lastOutAtMs, lastInAtMs)).slice(-count);
  if (recent.length < count) return undefined;
  let nextAtMs = nowMs;
  const values: number[] = [];
  for (const point of recent.toReversed()) {
    const value = read(point);
    if (value === undefined || nextAtMs - point.atMs > 2 * periodMs) return undefined;
    nextAtMs = point.atMs;
    values.push(value);
  }
  return values;
}

function keep(because: string) {
  return { kind: 'keep', because } as const;
}

/** What is a whole number but for the last bits of a division is taken for one. */
function roundUp(value: number): number {
  return Math.ceil(value - 1e-9);
}

function shown(value: number): string {
  return String(Math.round(value * 100) / 100);
}
