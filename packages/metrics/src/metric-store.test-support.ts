/** What every metric store must do, as tests over one that is made anew for each. */
import { expect, test } from 'vitest';
import type { Metric } from './metric.ts';
import type { MetricStore } from './metric-store.ts';
import { summaryOf } from './summary.ts';

export interface StoreUnderTest {
  readonly store: MetricStore;
  readonly nowMs: number;
}

const cpu = (node: string): Metric => ({
  namespace: 'Shop',
  name: 'cpu',
  dimensions: [
    { name: 'node', value: node },
    { name: 'zone', value: 'a' },
  ],
});

export function metricStoreContract(makeStore: () => Promise<StoreUnderTest>): void {
  test('what was recorded is read at once, by the period, with gaps as gaps', async () => {
    const { store, nowMs } = await makeStore();
    const startMs = nowMs - (nowMs % 60_000) - 120_000;
    await store.record([
      {
        metric: cpu('1'),
        unit: 'Percent',
        resolutionSeconds: 1,
        data: [
          { atMs: startMs + 1_000, summary: summaryOf(3) },
          { atMs: startMs + 2_500, summary: summaryOf(5) },
          { atMs: startMs + 4_000, summary: summaryOf(7) },
        ],
      },
    ]);
    const query = { metric: cpu('1'), startMs, endMs: startMs + 60_000 };
    expect(await store.read({ ...query, periodSeconds: 1 })).toEqual([
      { startMs: startMs + 1_000, unit: 'Percent', summary: summaryOf(3) },
      { startMs: startMs + 2_000, unit: 'Percent', summary: summaryOf(5) },
      { startMs: startMs + 4_000, unit: 'Percent', summary: summaryOf(7) },
    ]);
    const [minute, ...others] = await store.read({ ...query, periodSeconds: 60 });
    expect(others).toEqual([]);
    expect(minute).toMatchObject({ startMs, summary: { sampleCount: 3, sum: 15, minimum: 3, maximum: 7 } });
    expect(await store.read({ ...query, startMs: startMs + 3_000, periodSeconds: 1 })).toHaveLength(1);
    expect(await store.read({ ...query, metric: cpu('2'), periodSeconds: 1 })).toEqual([]);
  });

  test('the order of dimensions says nothing, and units are never mixed', async () => {
    const { store, nowMs } = await makeStore();
    const startMs = nowMs - (nowMs % 60_000) - 60_000;
    const data = [{ atMs: startMs, summary: summaryOf(1) }];
    const turned = { ...cpu('1'), dimensions: [...cpu('1').dimensions].reverse() };
    await store.record([
      { metric: cpu('1'), unit: 'Percent', resolutionSeconds: 60, data },
      { metric: turned, unit: 'None', resolutionSeconds: 60, data },
    ]);
    const query = { metric: turned, startMs, endMs: startMs + 60_000, periodSeconds: 60 };
    const both = await store.read(query);
    expect(both.map(({ unit }) => unit).sort()).toEqual(['None', 'Percent']);
    expect(await store.read({ ...query, unit: 'Percent' })).toHaveLength(1);
    expect(await store.read({ ...query, unit: 'Bytes' })).toEqual([]);
    expect(await store.list({})).toHaveLength(1);
  });

  test('what is kept by the minute is dated by the minute', async () => {
    const { store, nowMs } = await makeStore();
    const startMs = nowMs - (nowMs % 60_000) - 60_000;
    await store.record([
      {
        metric: cpu('1'),
        unit: 'Percent',
        resolutionSeconds: 60,
        data: [{ atMs: startMs + 30_000, summary: summaryOf(1) }],
      },
    ]);
    const query = { metric: cpu('1'), startMs, endMs: startMs + 60_000 };
    expect(await store.read({ ...query, periodSeconds: 1 })).toMatchObject([{ startMs }]);
  });

  test('looks inside a minute count in shorter periods alone, and its own datum beside them', async () => {
    const { store, nowMs } = await makeStore();
    const startMs = nowMs - (nowMs % 60_000) - 60_000;
    const metric = cpu('1');
    await store.record([
      {
        metric,
        unit: 'Count',
        resolutionSeconds: 1,
        rollUp: 'within-minute',
        data: [1, 2, 3].map((value) => ({ atMs: startMs + value * 10_000, summary: summaryOf(value) })),
      },
      {
        metric,
        unit: 'Count',
        resolutionSeconds: 60,
        rollUp: 'without-values',
        data: [{ atMs: startMs, summary: summaryOf(6) }],
      },
    ]);
    const query = { metric, startMs, endMs: startMs + 60_000 };
    const looks = await store.read({ ...query, periodSeconds: 10 });
    expect(looks.map(({ summary }) => summary.sum)).toEqual([1, 2, 3]);
    const minutes = await store.read({ ...query, periodSeconds: 60 });
    expect(minutes).toMatchObject([{ startMs, summary: { sampleCount: 1, sum: 6 } }]);
  });

  test('metrics are listed by what they have, each once, in the order of their keys', async () => {
    const { store, nowMs } = await makeStore();
    const recorded = (metric: Metric, atMs: number) => ({
      metric,
      unit: 'None' as const,
      resolutionSeconds: 60 as const,
      data: [{ atMs, summary: summaryOf(1) }],
    });
    const other: Metric = { namespace: 'Other', name: 'cpu', dimensions: [] };
    const hourAgo = nowMs - 3_600_000;
    await store.record([recorded(cpu('2'), nowMs), recorded(cpu('1'), nowMs), recorded(other, hourAgo)]);
    await store.record([recorded(cpu('1'), nowMs)]);
    expect(await store.list({})).toEqual([other, cpu('1'), cpu('2')]);
    expect(await store.list({ namespace: 'Shop' })).toHaveLength(2);
    expect(await store.list({ name: 'none' })).toEqual([]);
    expect(await store.list({ dimensions: [{ name: 'node', value: '2' }] })).toEqual([cpu('2')]);
    expect(await store.list({ dimensions: [{ name: 'zone' }, { name: 'node' }] })).toHaveLength(2);
    expect(await store.list({ dimensions: [{ name: 'host' }] })).toEqual([]);
    expect(await store.list({ sinceMs: nowMs - 600_000 })).toHaveLength(2);
  });
}
