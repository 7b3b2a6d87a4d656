/**
 * (pure) Checks a history against what the library promises. No tolerance anywhere.
 *
 *   bound   no read returns a state that was replaced, visibly, more than the bound before the read began
 *   far     a value from the shared tier is never older than an invalidation that the shared tier had
 *           confirmed before the read began
 *   origin  a value was really written, and not after the read ended
 *
 * When was a state replaced? At the latest when the commit of a later state had returned to its writer, or when
 * somebody had read a later state from the database, whichever is first. PostgreSQL's own commit times would be
 * wrong: they are taken before anybody can see the change.
 *
 * An absent row has no number. A read that finds nothing is taken for the newest state that may have been absent
 * by then: the most lenient reading.
 */
import type { Acknowledgement, History, WriteRecord } from './history.ts';

export type Rule = 'bound' | 'far' | 'origin';

export interface Violation {
  readonly rule: Rule;
  readonly key: number;
  /** 0: absent. */
  readonly version: number;
  /** The oldest state that the rule allowed; 0 for `origin`. */
  readonly needed: number;
  readonly startedMs: number;
  /** Of `bound`: since when it was replaced. Of `far`: since when that was confirmed. */
  readonly overdueMs: number;
}

export interface Verdict {
  readonly reads: number;
  /** Reads that rule `far` was applied to. */
  readonly farReads: number;
  /** Far reads that a failover excused. */
  readonly excused: number;
  readonly violations: Readonly<Record<Rule, number>>;
  /** The first ones, for people. */
  readonly examples: readonly Violation[];
  /** Reads of a state that was replaced before they began, however shortly. */
  readonly replaced: number;
  /** The longest time by which a state that was read had been replaced. */
  readonly oldestMs: number;
}

const maxExamples = 20;

/** States of one key, by number; index 0 is unused. */
interface KeyTimeline {
  readonly sentMs: number[];
  /** From then on everybody saw this state or a later one. */
  readonly visibleMs: number[];
  /** From then on the shared tier had confirmed the invalidation of this state or of a later one. */
  readonly confirmedMs: number[];
  readonly mayBePresent: boolean[];
  readonly mayBeAbsent: boolean[];
}

export function checkHistory(history: History, boundMs: number): Verdict {
  const timelines = timelinesOf(history);
  const violations = { bound: 0, far: 0, origin: 0 };
  const examples: Violation[] = [];
  let reads = 0;
  let farReads = 0;
  let excused = 0;
  let replaced = 0;
  let oldestMs = 0;
  const complain = (violation: Violation): void => {
    violations[violation.rule] += 1;
    if (examples.length < maxExamples) examples.push(violation);
  };

  for (const { keys, versions, startedMs: started, endedMs: ended, far } of history.reads) {
    for (let at = 0; at < keys.length; at += 1) {
      reads += 1;
      const key = keys[at]!;
      const version = versions[at]!;
      const startedMs = started[at]!;
      const timeline = timelines.get(key);
      const state = timeline === undefined ? undefined : stateOf(timeline, { version, endedMs: ended[at]! });
      if (timeline === undefined || state === undefined) {
        complain({ rule: 'origin', key, version, needed: 0, startedMs, overdueMs: 0 });
        continue;
      }
      const overdueMs = startedMs - (timeline.visibleMs[state + 1] ?? Number.POSITIVE_INFINITY);
      if (overdueMs > 0) replaced += 1;
      if (overdueMs > oldestMs) oldestMs = overdueMs;
      if (overdueMs > boundMs) {
        const needed = newestBefore(timeline.visibleMs, startedMs - boundMs);
        complain({ rule: 'bound', key, version, needed, startedMs, overdueMs });
      }
      if (far[at] === 0) continue;
      if (history.lostConfirmations.some(({ fromMs, toMs }) => startedMs >= fromMs && startedMs <= toMs)) {
        excused += 1;
        continue;
      }
      farReads += 1;
      const sinceMs = startedMs - (timeline.confirmedMs[state + 1] ?? Number.POSITIVE_INFINITY);
      if (sinceMs > 0) {
        const needed = newestBefore(timeline.confirmedMs, startedMs);
        complain({ rule: 'far', key, version, needed, startedMs, overdueMs: sinceMs });
      }
    }
  }
  return { reads, farReads, excused, violations, examples, replaced, oldestMs };
}

/** The state that the read is taken for; undefined when nobody can have written it. */
function stateOf(
  timeline: KeyTimeline,
  { version, endedMs }: { readonly version: number; readonly endedMs: number },
): number | undefined {
  const { sentMs, mayBePresent, mayBeAbsent } = timeline;
  if (version !== 0) {
    const known = mayBePresent[version] === true && sentMs[version]! <= endedMs;
    return known ? version : undefined;
  }
  for (let state = mayBeAbsent.length - 1; state > 0; state -= 1) {
    if (mayBeAbsent[state] === true && sentMs[state]! <= endedMs) return state;
  }
  return undefined;
}

function timelinesOf({ writes, sightings, acknowledgements }: History): Map<number, KeyTimeline> {
  const timelines = new Map<number, KeyTimeline>();
  const firstConfirmation = confirmations(acknowledgements);
  for (const write of writes) {
    let timeline = timelines.get(write.key);
    if (timeline === undefined) {
      timeline = { sentMs: [], visibleMs: [], confirmedMs: [], mayBePresent: [], mayBeAbsent: [] };
      timelines.set(write.key, timeline);
    }
    addWrite(timeline, write, firstConfirmation);
  }
  for (const { key, state, atMs } of sightings) {
    const times = timelines.get(key)?.visibleMs;
    if (times !== undefined) times[state] = Math.min(times[state] ?? Number.POSITIVE_INFINITY, atMs);
  }
  // What is true of a later state is true of the ones before it.
  for (const { visibleMs, confirmedMs } of timelines.values()) {
    for (const times of [visibleMs, confirmedMs]) {
      let earliest = Number.POSITIVE_INFINITY;
      for (let state = times.length - 1; state > 0; state -= 1) {
        earliest = Math.min(earliest, times[state] ?? Number.POSITIVE_INFINITY);
        times[state] = earliest;
      }
    }
  }
  return timelines;
}

/** A number can come twice: when a commit's answer was lost and it had failed, the next writer gets it again. */
function addWrite(
  timeline: KeyTimeline,
  { state, absent, sentMs, returnedMs, position }: WriteRecord,
  firstConfirmation: (position: bigint) => number,
): void {
  const earliest = (times: number[], atMs: number): void => {
    times[state] = Math.min(times[state] ?? Number.POSITIVE_INFINITY, atMs);
  };
  earliest(timeline.sentMs, sentMs);
  earliest(timeline.visibleMs, Number.isNaN(returnedMs) ? Number.POSITIVE_INFINITY : returnedMs);
  earliest(
    timeline.confirmedMs,
    position === undefined ? Number.POSITIVE_INFINITY : firstConfirmation(position),
  );
  if (absent) timeline.mayBeAbsent[state] = true;
  else timeline.mayBePresent[state] = true;
}

/** When a position was first confirmed; Infinity when never. */
function confirmations(acknowledgements: readonly Acknowledgement[]): (position: bigint) => number {
  const steps: Acknowledgement[] = [];
  for (const step of [...acknowledgements].sort((left, right) => left.atMs - right.atMs)) {
    if (steps.length === 0 || step.position > steps.at(-1)!.position) steps.push(step);
  }
  return (position) => {
    let low = 0;
    let high = steps.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (steps[middle]!.position >= position) high = middle;
      else low = middle + 1;
    }
    return steps[low]?.atMs ?? Number.POSITIVE_INFINITY;
  };
}

function newestBefore(times: readonly number[], atMs: number): number {
  for (let state = times.length - 1; state > 0; state -= 1) if (times[state]! < atMs) return state;
  return 0;
}
