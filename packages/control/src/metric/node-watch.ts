/** (pure) One node's readings, one after the other: what of them is recorded for the second, and for the minute when one is over. */
import { trafficOf } from '@larder/metrics/elasticache/catalogue';
import { type DerivedValue, derive } from '@larder/metrics/elasticache/derive';
import { burstsOf } from '@larder/metrics/elasticache/host-metrics';
import { type Bursts, lookAt, type NodeFacts } from '@larder/metrics/elasticache/look';
import { type CountedReading, countOn, type NodeCount } from '@larder/metrics/elasticache/node-count';

const minuteMs = 60_000;
/** Readings further apart have a gap between them: what rose in it is no second's. */
const farApartMs = 2_500;

/** What a node had counted at the first reading in a minute. */
export interface MinuteCount {
  /** When that minute began, by the controller's clock. */
  readonly minuteMs: number;
  readonly count: NodeCount;
}

export interface NodeWatch {
  readonly last: NodeCount;
  readonly minute: MinuteCount;
  /** Within the minute, so far. */
  readonly bursts: Bursts;
}

const still: Bursts = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };

export interface Watched {
  readonly watch: NodeWatch;
  readonly second: readonly DerivedValue[];
  /** When a minute that was watched from its beginning is over. */
  readonly minute?: { readonly atMs: number; readonly values: readonly DerivedValue[] };
}

/**
 * @param before undefined for a node that was not watched. What is known of one before the service was started anew is its
 *   `minute`, which then stands for its last reading too.
 * @param secondMs when the reading is recorded, by the controller's clock.
 */
export function watchOn(
  before: NodeWatch | undefined,
  reading: CountedReading,
  facts: NodeFacts,
  secondMs: number,
): Watched {
  const count = countOn(before?.last, reading);
  const near = before !== undefined && count.atMs - before.last.atMs <= farApartMs;
  const own = { before: near ? before.last : undefined, count, facts };
  const burst = burstsOf(lookAt(own), trafficOf(facts.engine));
  const second = derive({ ...own, bursts: near ? burst : undefined });
  const nowMinuteMs = secondMs - (secondMs % minuteMs);
  if (before === undefined) return { watch: began(count, nowMinuteMs), second };
  const { minute } = before;
  if (minute.minuteMs === nowMinuteMs) {
    return { watch: { last: count, minute, bursts: highest(before.bursts, burst) }, second };
  }
  const watch = began(count, nowMinuteMs);
  // A minute without any reading is between them: what rose belongs to none of them.
  if (nowMinuteMs - minute.minuteMs > minuteMs) return { watch, second };
  const bursts = highest(before.bursts, burst);
  const values = derive({ before: minute.count, count, facts, bursts });
  return { watch, second, minute: { atMs: minute.minuteMs, values } };
}

/** Of what was written down when its minute began. */
export function takenUp(minute: MinuteCount): NodeWatch {
  return { last: minute.count, minute, bursts: still };
}

function began(count: NodeCount, nowMinuteMs: number): NodeWatch {
  return { last: count, minute: { minuteMs: nowMinuteMs, count }, bursts: still };
}

function highest(a: Bursts, b: Bursts): Bursts {
  return {
    bytesIn: Math.max(a.bytesIn, b.bytesIn),
    bytesOut: Math.max(a.bytesOut, b.bytesOut),
    packetsIn: Math.max(a.packetsIn, b.packetsIn),
    packetsOut: Math.max(a.packetsOut, b.packetsOut),
  };
}
