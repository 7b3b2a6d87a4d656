import type { ServerInfo } from '@larder/engine/info';
import type { NodeObservation } from '@larder/fleet/host';
import { beforeEach, expect, test } from 'vitest';
import { observe, replicatedGroup } from '../replication-group/group.test-support.ts';
import { type MetricSampler, metricSampler } from './sampler.ts';

const node = 'shop-001.0001';
let nowMs: number;
let info: Partial<ServerInfo> | undefined;
let sampler: MetricSampler;

beforeEach(() => {
  nowMs = 1_000;
  sampler = metricSampler({
    nowMs: () => nowMs,
    keptMs: 10_000,
    host: {
      async observe() {
        const seen = observe(replicatedGroup(1)).get(node)!;
        const engine = { ...seen.engine!, info: { ...seen.engine!.info, ...info } };
        return new Map<string, NodeObservation>(info === undefined ? [] : [[node, { ...seen, engine }]]);
      },
    },
  });
});

function engine(mainThreadCpuSeconds: number, change: Partial<ServerInfo> = {}): Partial<ServerInfo> {
  const load = { mainThreadCpuSeconds, connections: 7, maxmemoryBytes: 1_000, unevictableBytes: 100 };
  return { runId: 'a', usedMemoryBytes: 600, load, ...change };
}

async function sampleAt(atMs: number, seen: Partial<ServerInfo> | undefined): Promise<void> {
  nowMs = atMs;
  info = seen;
  await sampler.sample([node]);
}

test('the processor by what was used between two looks, memory by what can be evicted', async () => {
  await sampleAt(1_000, engine(5));
  await sampleAt(3_000, engine(6.5));
  expect(sampler.samplesOf(node)).toEqual([
    { atMs: 1_000, connections: 7, memoryPercent: 50 },
    { atMs: 3_000, connections: 7, memoryPercent: 50, engineCpuPercent: 75 },
  ]);
});

test('a process started anew has no processor share yet; a node that does not answer leaves a gap', async () => {
  await sampleAt(1_000, engine(5));
  await sampleAt(2_000, undefined);
  await sampleAt(3_000, engine(0.1, { runId: 'b' }));
  await sampleAt(4_000, engine(0.2, { runId: 'b', loading: true }));
  await sampleAt(5_000, engine(0.3, { runId: 'b' }));
  const shares = sampler.samplesOf(node).map(({ atMs, engineCpuPercent }) => [atMs, engineCpuPercent]);
  expect(shares).toEqual([
    [1_000, undefined],
    [3_000, undefined],
    [5_000, expect.closeTo(10)],
  ]);
});

test('old samples go, and with the last one what is known of the node', async () => {
  await sampleAt(1_000, engine(5));
  await sampleAt(5_000, engine(5));
  await sampleAt(12_000, undefined);
  expect(sampler.samplesOf(node).map(({ atMs }) => atMs)).toEqual([5_000]);
  await sampleAt(16_000, undefined);
  expect(sampler.samplesOf(node)).toEqual([]);
});

test('without a bound there is no share of it', async () => {
  await sampleAt(1_000, engine(5, { load: { ...engine(5).load!, maxmemoryBytes: 0 } }));
  expect(sampler.samplesOf(node)).toEqual([{ atMs: 1_000, connections: 7 }]);
});
