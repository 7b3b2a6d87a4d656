/** Everything that Prometheus is told: nodes as they were read last, alarms, and the service itself. */
import { nodeFamilies, nodeValues } from '@larder/metrics/exposition/node-families';
import type { MetricFamily, Sample } from '@larder/metrics/exposition/open-metrics';
import type { ShownAlarm } from '../alarm/cloudwatch.ts';
import type { EventStream } from '../event-log/event-stream.ts';
import type { CollectedNode } from '../metric/collected-nodes.ts';
import type { LookedNode } from '../metric/collector.ts';
import { serviceFamilies } from './families.ts';
import type { ServiceCounts } from './service-counts.ts';

export interface ExpositionDeps {
  readonly counts: ServiceCounts;
  readonly nodes: NodeLooks;
  readonly showAlarms: () => Promise<ShownAlarm[]>;
  readonly countDeliveries: (status: 'pending' | 'dead') => Promise<number>;
  readonly nowMs: () => number;
  readonly processUsage: () => { readonly residentBytes: number; readonly cpuSeconds: number };
}

/** The nodes as they were read last. */
export interface NodeLooks {
  put(nodes: readonly LookedNode[], unread: readonly CollectedNode[], atMs: number): void;
  readonly last:
    | {
        readonly nodes: readonly LookedNode[];
        readonly unread: readonly CollectedNode[];
        readonly atMs: number;
      }
    | undefined;
}

export function nodeLooks(): NodeLooks {
  let last: NodeLooks['last'];
  return {
    put(nodes, unread, atMs) {
      last = { nodes, unread, atMs };
    },
    get last() {
      return last;
    },
  };
}

/** Older looks are a gap: a value that is not true any more is not shown. */
const oldestLookMs = 10_000;
const alarmStates = ['OK', 'ALARM', 'INSUFFICIENT_DATA'];

export async function exposition(deps: ExpositionDeps): Promise<MetricFamily[]> {
  const { counts, nowMs } = deps;
  const { last } = deps.nodes;
  const { nodes, unread } =
    last !== undefined && nowMs() - last.atMs <= oldestLookMs ? last : { nodes: [], unread: [] };
  const alarms = await deps.showAlarms();
  const usage = deps.processUsage();
  const of = (family: keyof typeof serviceFamilies, samples: readonly Sample[]): MetricFamily => ({
    ...serviceFamilies[family],
    samples,
  });
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  return [
    ...familiesOfNodes(nodes),
    of('nodeUp', [
      ...nodes.map(({ node }) => ({ labels: labelsOf(node), value: 1 })),
      ...unread.map((node) => ({ labels: labelsOf(node), value: 0 })),
    ]),
    of('looked', last === undefined ? [] : one(last.atMs / 1_000)),
    of(
      'alarmState',
      alarms.flatMap(({ name, kind, state }) =>
        alarmStates.map((each) => ({
          labels: { alarm: name, kind, state: each },
          value: each === state ? 1 : 0,
        })),
      ),
    ),
    of('requests', counts.requests()),
    of('requestDuration', counts.requestDurations()),
    of('passes', counts.passes()),
    of('failovers', counts.failovers()),
    of('events', counts.events()),
    of('deliveries', [
      { labels: { status: 'pending' }, value: await deps.countDeliveries('pending') },
      { labels: { status: 'dead' }, value: await deps.countDeliveries('dead') },
    ]),
    of('residentMemory', one(usage.residentBytes)),
    of('processCpu', one(usage.cpuSeconds)),
  ];
}

function familiesOfNodes(nodes: readonly LookedNode[]): MetricFamily[] {
  const samples = new Map<string, Sample[]>(nodeFamilies.map(({ name }) => [name, []]));
  for (const node of nodes) {
    const labels = { ...labelsOf(node.node), role: node.role };
    const gauges = new Map(
      node.values.map(({ metric, summary }) => [metric.name, summary.sum / summary.sampleCount]),
    );
    for (const [name, value] of nodeValues({ count: node.count, facts: node.facts, gauges })) {
      samples.get(name)!.push({ labels, value });
    }
  }
  return nodeFamilies.map(({ name, kind, unit, help }) => ({
    name,
    kind,
    unit,
    help,
    samples: samples.get(name)!,
  }));
}

function labelsOf(node: CollectedNode): Record<string, string> {
  return {
    replication_group: node.shard?.groupId ?? '',
    node_group: node.shard?.nodeGroupId ?? '',
    cache_cluster: node.clusterId,
    cache_node: node.cacheNodeId,
  };
}

const waitMs = 60_000;

/** Counts the events that come from now on, until the stream is stopped. */
export async function countEvents(
  stream: EventStream,
  counts: ServiceCounts,
  stopping: AbortSignal,
): Promise<void> {
  let at = await stream.head();
  while (!stream.stopped && !stopping.aborted) {
    for (const { id, event } of await stream.next(at, waitMs, stopping)) {
      counts.event(event.sourceType, event.sourceId, event.message);
      at = id;
    }
  }
}
