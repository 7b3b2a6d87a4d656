/**
 * What nodes are loaded with, sampled when somebody asks for it and kept for a while in memory. Alone of nodes of Valkey
 * and Redis. After a restart there are no samples: the first processor share needs two looks at the same run.
 */
import type { Host } from '@larder/fleet/host';

export interface NodeSample {
  /** The same for every node that was sampled together. */
  readonly atMs: number;
  /** Of one core, since the sample before: what the engine's main thread used. Missing when it was started since. */
  readonly engineCpuPercent?: number;
  /** Of `maxmemory`, without buffers that are not evicted for. Missing when there is no such bound. */
  readonly memoryPercent?: number;
  /** Clients, without replicas. */
  readonly connections?: number;
}

export interface MetricSampler {
  /** Asks the nodes now. One that does not answer gets no sample: that is a gap, not a zero. */
  sample(nodeIds: readonly string[]): Promise<void>;
  /** Oldest first. */
  samplesOf(nodeId: string): readonly NodeSample[];
}

export interface MetricSamplerOptions {
  readonly host: Pick<Host, 'observe'>;
  readonly nowMs: () => number;
  /** Older samples are dropped, and nodes that have none any more forgotten. */
  readonly keptMs: number;
}

interface NodeHistory {
  samples: NodeSample[];
  last?: { readonly runId: string; readonly atMs: number; readonly cpuSeconds: number };
}

export function metricSampler({ host, nowMs, keptMs }: MetricSamplerOptions): MetricSampler {
  const nodes = new Map<string, NodeHistory>();
  return {
    async sample(nodeIds) {
      const seen = await host.observe(nodeIds);
      const atMs = nowMs();
      for (const nodeId of nodeIds) {
        const info = seen.get(nodeId)?.engine?.info;
        if (info?.load === undefined || info.loading) continue;
        const { mainThreadCpuSeconds: cpuSeconds, connections } = info.load;
        const { maxmemoryBytes, unevictableBytes } = info.load;
        const history = nodes.get(nodeId) ?? { samples: [] };
        nodes.set(nodeId, history);
        const before = history.last?.runId === info.runId ? history.last : undefined;
        history.last = { runId: info.runId, atMs, cpuSeconds };
        const elapsedSeconds = before === undefined ? 0 : (atMs - before.atMs) / 1000;
        history.samples.push({
          atMs,
          connections,
          ...(before !== undefined &&
            elapsedSeconds > 0 && {
              engineCpuPercent: Math.max(0, ((cpuSeconds - before.cpuSeconds) / elapsedSeconds) * 100),
            }),
          ...(maxmemoryBytes > 0 && {
            memoryPercent: (Math.max(0, info.usedMemoryBytes - unevictableBytes) / maxmemoryBytes) * 100,
          }),
        });
      }
      for (const [nodeId, history] of nodes) {
        history.samples = history.samples.filter((sample) => sample.atMs > atMs - keptMs);
        if (history.samples.length === 0) nodes.delete(nodeId);
      }
    },
    samplesOf: (nodeId) => nodes.get(nodeId)?.samples ?? [],
  };
}
