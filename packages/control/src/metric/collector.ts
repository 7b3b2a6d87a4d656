/**
 * Reads every node once a second and records what its metrics are: in a loop of its own, beside those that run the nodes. Nothing
 * waits for it, and it waits for no node longer than a second. Only the controller that leads has one.
 */
import type { Host } from '@larder/fleet/host';
import type { NodeReading } from '@larder/fleet/node-reading';
import type { NodeFacts } from '@larder/metrics/elasticache/look';
import type { NodeCount } from '@larder/metrics/elasticache/node-count';
import { type OffsetHistory, offsetSeen, replicationLag } from '@larder/metrics/elasticache/replication-lag';
import type { RecordedData } from '@larder/metrics/metric-store';
import type { Database } from '../database/connect.ts';
import { type CollectedNode, readCollectedNodes } from './collected-nodes.ts';
import type { MetricKeeper } from './metric-keeper.ts';
import { dropMinuteCounts, readMinuteCounts, writeMinuteCounts } from './minute-counts.ts';
import { type MinuteCount, type NodeWatch, takenUp, watchOn } from './node-watch.ts';
import { ownMetrics } from './own-metrics.ts';
import { type DerivedNode, metricNames, recordedOf } from './recorded-metrics.ts';
import type { MetricDatabase } from './tables.ts';

const secondMs = 1_000;
/** A clock that was put back by more is believed. */
const clockStepMs = 10_000;
/** How often it is looked which nodes there are. */
const lookEveryMs = 2_000;

export interface CollectorOptions {
  readonly database: Database;
  readonly metricDatabase: MetricDatabase;
  readonly keeper: MetricKeeper;
  readonly host: Pick<Host, 'readings'>;
  readonly nowMs: () => number;
  /** Told once a second of the nodes that were read, and of those that are to serve and were not. */
  readonly onLook?:
    | ((nodes: readonly LookedNode[], unread: readonly CollectedNode[], atMs: number) => void)
    | undefined;
}

/** A node as its last reading shows it. */
export interface LookedNode extends DerivedNode {
  readonly count: NodeCount;
  readonly facts: NodeFacts;
}

export interface Collector {
  /** Reads every node now and records it. To be called once a second, and never twice at a time. */
  collect(): Promise<void>;
}

export function collector(options: CollectorOptions): Collector {
  const { database, metricDatabase, keeper, host, nowMs } = options;
  const names = metricNames();
  const own = ownMetrics({ database, nowMs });
  /** Of primaries, by group and shard. */
  const offsets = new Map<string, OffsetHistory>();
  let watches: Map<string, NodeWatch> | undefined;
  let nodes: readonly CollectedNode[] = [];
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let recordedMs = 0;

  async function look(atMs: number): Promise<void> {
    if (watches === undefined) {
      const counts = await readMinuteCounts(metricDatabase);
      watches = new Map([...counts].map(([nodeId, count]) => [nodeId, takenUp(count)]));
    }
    if (atMs - lookedAtMs < lookEveryMs) return;
    nodes = await readCollectedNodes(database);
    lookedAtMs = atMs;
    const ids = new Set(nodes.map(({ nodeId }) => nodeId));
    const gone = [...watches.keys()].filter((nodeId) => !ids.has(nodeId));
    if (gone.length === 0) return;
    for (const nodeId of gone) watches.delete(nodeId);
    names.keepOnly(nodes);
    const shards = new Set(nodes.map(shardKey));
    for (const key of offsets.keys()) if (!shards.has(key)) offsets.delete(key);
    await dropMinuteCounts(metricDatabase, gone);
  }

  function lagOf(node: CollectedNode, { counts }: NodeReading): number | undefined {
    const history = offsets.get(shardKey(node));
    const offset = counts.slave_repl_offset;
    return counts.is_primary === 1 || history === undefined || offset === undefined
      ? undefined
      : replicationLag(history, offset);
  }

  async function collect(): Promise<void> {
    await look(nowMs());
    const known = watches!;
    const atMs = nowMs();
    const second = atMs - (atMs % secondMs);
    // Two rounds fell into one second, or the clock was put back a little: a second has one look.
    const behindMs = recordedMs - second;
    if (behindMs >= 0 && behindMs < clockStepMs) return;
    const read = nodes;
    const readings = await host.readings(read.map(({ nodeId }) => nodeId));
    const begunMs = performance.now();
    for (const node of read) {
      const counts = readings.get(node.nodeId)?.counts;
      if (counts?.is_primary !== 1 || node.shard === undefined) continue;
      const key = shardKey(node);
      offsets.set(key, offsetSeen(offsets.get(key), atMs, counts.master_repl_offset ?? 0));
    }
    const seconds: LookedNode[] = [];
    const minutes = new Map<number, DerivedNode[]>();
    const counts = new Map<string, MinuteCount>();
    const next = new Map<string, NodeWatch>();
    for (const node of read) {
      const reading = readings.get(node.nodeId);
      if (reading === undefined) continue;
      const before = known.get(node.nodeId);
      const facts = { ...node.facts, replicationLagSeconds: lagOf(node, reading) };
      const seen = watchOn(before, reading, facts, second);
      next.set(node.nodeId, seen.watch);
      if (seen.watch.minute !== before?.minute) counts.set(node.nodeId, seen.watch.minute);
      const role = reading.counts.is_primary === 1 ? 'primary' : 'replica';
      seconds.push({ node, role, values: seen.second, count: seen.watch.last, facts });
      if (seen.minute === undefined) continue;
      const { atMs: minuteMs, values } = seen.minute;
      const ofMinute = minutes.get(minuteMs) ?? [];
      minutes.set(minuteMs, ofMinute);
      ofMinute.push({ node, role, values });
    }
    const unread = read.filter(({ nodeId, serves }) => serves && !readings.has(nodeId));
    options.onLook?.(seconds, unread, second);
    const recorded: RecordedData[] = recordedOf(names, seconds, 'second', second);
    for (const [minuteMs, derived] of minutes) {
      recorded.push(...recordedOf(names, derived, 'minute', minuteMs));
    }
    const costMs = [...readings.values()].reduce((sum, each) => sum + (each.counts.reading_cost_ms ?? 0), 0);
    recorded.push(
      ...(await own.of(second, { missing: unread.length, costMs: costMs + performance.now() - begunMs })),
    );
    recordedMs = second;
    await keeper.record(recorded, (transaction) => writeMinuteCounts(transaction, counts));
    // What could not be recorded is not passed over: the next look counts on from here.
    for (const [nodeId, watch] of next) known.set(nodeId, watch);
  }

  return { collect };
}

function shardKey({ nodeId, shard }: CollectedNode): string {
  return shard === undefined ? nodeId : `${shard.groupId}/${shard.nodeGroupId}`;
}
