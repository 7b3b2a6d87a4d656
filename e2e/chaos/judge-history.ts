/** (pure) From what was written down of one repetition to its figures. */
import type { History, Probe, Write } from './history.ts';

export interface Figures {
  /** The longest time between two acknowledgements in the shard that is hit, of those that end after the fault. */
  readonly gapMs: number;
  /** The same in the other shards; NaN where there are none. */
  readonly otherShardsGapMs: number;
  /** The longest one before the fault: what the machine and the client do by themselves. */
  readonly quietGapMs: number;
  /** From the fault until another node of the shard took a write; NaN when none did. Without a client's reconnecting. */
  readonly successorMs: number;
  readonly acknowledged: number;
  /** Acknowledged writes that are not there in the end. */
  readonly lost: number;
  /** Acknowledgements by a node whose successor took writes already. */
  readonly zombies: number;
  /** From the last acknowledgement beside the deposed primary to its successor's first; NaN where nobody was beside. */
  readonly marginMs: number;
  /** How long two nodes of a shard provably took writes at once. */
  readonly splitBrainMs: number;
  /** From sending to acknowledgement, of writes acknowledged after the fault. */
  readonly worstLatencyMs: number;
  readonly fullSyncs: number;
  readonly staleReads: number;
  readonly readGapMs: number;
  readonly clientErrors: number;
}

/** A probe answered later than this may have been carried out at any time since it was sent. */
const promptMs = 100;
/** What a single probe that falls into another node's time counts for. */
const probePeriodMs = 20;

export function figuresOf(history: History): Figures {
  const { victim, writes, clinging, faultMs, endedMs } = history;
  const others = new Set(writes.map(({ shard }) => shard).filter((shard) => shard !== victim.shard));
  const gaps = (shard: number) => gapsOf(writes, shard, faultMs, endedMs);
  const latencies = writes.flatMap(({ sentMs, ackedMs }) =>
    ackedMs !== undefined && ackedMs > faultMs ? [ackedMs - sentMs] : [],
  );
  const successor = firstAcceptedElsewhere(history);
  return {
    gapMs: gaps(victim.shard).after,
    otherShardsGapMs: others.size === 0 ? Number.NaN : longest([...others].map((shard) => gaps(shard).after)),
    quietGapMs: gaps(victim.shard).before,
    successorMs: successor === undefined ? Number.NaN : successor.answeredMs - faultMs,
    acknowledged: count([...writes, ...clinging], ({ ackedMs }) => ackedMs !== undefined),
    lost: history.missing.writes.length + history.missing.clinging.length,
    zombies: successor === undefined ? 0 : zombiesOf(history, successor.answeredMs),
    marginMs:
      successor === undefined || history.besideAckedMs.length === 0
        ? Number.NaN
        : successor.answeredMs - longest(history.besideAckedMs),
    splitBrainMs: splitBrainMs(history.probes),
    worstLatencyMs: longest(latencies),
    fullSyncs: history.fullSyncs,
    staleReads: history.reads.stale,
    readGapMs: history.reads.gapMs,
    clientErrors: Object.values(history.errors).reduce((sum, each) => sum + each, 0),
  };
}

/** A gap that has not ended when the writer stops counts until then. */
function gapsOf(
  writes: readonly Write[],
  shard: number,
  faultMs: number,
  endedMs: number,
): { readonly before: number; readonly after: number } {
  const acks = writes
    .flatMap((write) => (write.shard === shard && write.ackedMs !== undefined ? [write.ackedMs] : []))
    .sort((left, right) => left - right);
  if (acks.length === 0) return { before: Number.NaN, after: Number.POSITIVE_INFINITY };
  acks.push(Math.max(endedMs, acks.at(-1)!));
  let before = 0;
  let after = 0;
  for (let index = 1; index < acks.length; index += 1) {
    const gap = acks[index]! - acks[index - 1]!;
    if (acks[index]! > faultMs) after = Math.max(after, gap);
    else before = Math.max(before, gap);
  }
  return { before, after };
}

function firstAcceptedElsewhere({ probes, victim, faultMs }: History): Probe | undefined {
  return probes.find(
    ({ accepted, shard, node, answeredMs }) =>
      accepted && shard === victim.shard && node !== victim.primary && answeredMs > faultMs,
  );
}

/**
 * Whom the clinging client asks is certain: an acknowledgement is a zombie when it was also sent after the successor
 * took a write. Of the ordinary client it is unknown who answered: what was acknowledged after that and is gone was
 * acknowledged by somebody who no longer should have. One sent before and acknowledged after counts only when it is gone:
 * it may have been carried out in time.
 */
function zombiesOf({ writes, clinging, missing, victim, besideAckedMs }: History, sinceMs: number): number {
  const gone = { writes: new Set(missing.writes), clinging: new Set(missing.clinging) };
  const late = ({ ackedMs, shard }: Write) =>
    shard === victim.shard && ackedMs !== undefined && ackedMs > sinceMs;
  return (
    count(clinging, (each) => late(each) && (each.sentMs > sinceMs || gone.clinging.has(each.number))) +
    count(writes, (each) => late(each) && gone.writes.has(each.number)) +
    count(besideAckedMs, (atMs) => atMs > sinceMs)
  );
}

interface Span {
  readonly node: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** It took one write at some moment between the two; else it took writes all the time. */
  readonly moment: boolean;
}

/**
 * A node that took two prompt probes one after the other took writes from the answer to the first until the second was
 * sent; one that took a single one did so somewhere between its two ends. What is counted here has happened; what two
 * single probes leave open is not.
 */
export function splitBrainMs(probes: readonly Probe[]): number {
  const shards = new Map<number, Probe[]>();
  for (const probe of probes) {
    const some = shards.get(probe.shard);
    if (some === undefined) shards.set(probe.shard, [probe]);
    else some.push(probe);
  }
  let total = 0;
  for (const some of shards.values()) {
    const spans = spansOf(some);
    for (const [index, one] of spans.entries()) {
      for (const other of spans.slice(index + 1)) total += overlapMs(one, other);
    }
  }
  return total;
}

function overlapMs(one: Span, other: Span): number {
  if (one.node === other.node || (one.moment && other.moment)) return 0;
  if (other.moment) return overlapMs(other, one);
  if (one.moment) return one.fromMs >= other.fromMs && one.toMs <= other.toMs ? probePeriodMs : 0;
  return Math.max(0, Math.min(one.toMs, other.toMs) - Math.max(one.fromMs, other.fromMs));
}

function spansOf(probes: readonly Probe[]): Span[] {
  const spans: Span[] = [];
  for (const node of new Set(probes.map((probe) => probe.node))) {
    let run: Probe[] = [];
    const close = () => {
      const [first, last] = [run[0], run.at(-1)];
      run = [];
      if (first === undefined || last === undefined) return;
      if (first === last) spans.push({ node, fromMs: first.sentMs, toMs: first.answeredMs, moment: true });
      else spans.push({ node, fromMs: first.answeredMs, toMs: last.sentMs, moment: false });
    };
    for (const probe of probes.filter((each) => each.node === node)) {
      const prompt = probe.answeredMs - probe.sentMs <= promptMs;
      if (!probe.accepted || !prompt) close();
      if (probe.accepted) run.push(probe);
      if (!prompt) close();
    }
    close();
  }
  return spans;
}

function longest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

function count<T>(values: readonly T[], matches: (value: T) => boolean): number {
  return values.reduce((sum, value) => sum + (matches(value) ? 1 : 0), 0);
}
