import { expect, test } from 'vitest';
import { memoryMetricStore } from '../memory-metric-store.ts';
import { elastiCacheNamespace, type Metric } from '../metric.ts';
import { summaryOf } from '../summary.ts';
import { withDimensionSets } from './dimension-sets.ts';

const atMs = Date.UTC(2026, 10, 24);
const query = { startMs: atMs, endMs: atMs + 60_000, periodSeconds: 60 };

const cluster = (id: string) => ({ name: 'CacheClusterId', value: id });
const metric = (name: string, id: string, node?: string, namespace = elastiCacheNamespace): Metric => ({
  namespace,
  name,
  dimensions: [cluster(id), ...(node === undefined ? [] : [{ name: 'CacheNodeId', value: node }])],
});

async function storeOf(...recorded: readonly (readonly [Metric, number])[]) {
  const store = withDimensionSets(memoryMetricStore());
  await store.record(
    recorded.map(([each, value]) => ({
      metric: each,
      unit: 'Count',
      resolutionSeconds: 60,
      data: [{ atMs, summary: summaryOf(value) }],
    })),
  );
  return store;
}

test('a metric of both sets is answered for the cluster alone, over its nodes', async () => {
  const store = await storeOf(
    [metric('GetHits', 'mem', '0001'), 5],
    [metric('GetHits', 'mem', '0002'), 7],
    [metric('GetHits', 'other', '0001'), 100],
  );
  const [both] = await store.read({ ...query, metric: metric('GetHits', 'mem') });
  expect(both).toMatchObject({ unit: 'Count', summary: { sampleCount: 2, sum: 12, minimum: 5, maximum: 7 } });
  const [one] = await store.read({ ...query, metric: metric('GetHits', 'mem', '0002') });
  expect(one!.summary.sum).toBe(7);
  expect(await store.list({ dimensions: [cluster('mem')] })).toEqual([
    metric('GetHits', 'mem', '0001'),
    metric('GetHits', 'mem', '0002'),
    metric('GetHits', 'mem'),
  ]);
  expect(await store.list({ dimensions: [{ name: 'CacheNodeId' }] })).toHaveLength(3);
});

test('one of the pair alone is not, and neither is one of another namespace', async () => {
  const store = await storeOf(
    [metric('BlockedConnections', 'shop-001', '0001'), 1],
    [metric('GetHits', 'shop-001', '0001', 'Shop'), 1],
  );
  expect(await store.read({ ...query, metric: metric('BlockedConnections', 'shop-001') })).toEqual([]);
  expect(await store.read({ ...query, metric: metric('GetHits', 'shop-001', undefined, 'Shop') })).toEqual(
    [],
  );
  expect(await store.list({})).toHaveLength(2);
});
