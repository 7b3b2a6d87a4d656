import type { Metric } from '@larder/metrics/metric';
import { expect, test } from 'vitest';
import { codeOf, dataContext } from './metric-data.test-support.ts';
import { putMetricData } from './put-metric-data.ts';

const metric = (name: string, namespace = 'Shop'): Metric => ({ namespace, name, dimensions: [] });
const nothing = async () => {};

test('a flood is throttled, and what was saved up in a pause may be used', async () => {
  const { limits, clock } = dataContext({ requestsPerSecond: 2 });
  const put = () => codeOf(limits.within({ metrics: [], dataCount: 1 }, nothing));
  const outcomes = [];
  for (let count = 0; count < 8; count += 1) outcomes.push(await put());
  expect(outcomes).toEqual([...Array(6).fill('done'), 'Throttling', 'Throttling']);
  clock.ms += 500;
  expect([await put(), await put()]).toEqual(['done', 'Throttling']);
  clock.ms += 3_600_000;
  expect([await put(), await put()]).toEqual(['done', 'done']);
  // A clock that goes back gives nothing.
  clock.ms -= 7_200_000;
  for (let count = 0; count < 4; count += 1) await put();
  expect(await put()).toBe('Throttling');
});

test('values are counted, also where requests are few; the largest request passes a rested limit', async () => {
  const { limits } = dataContext({ dataPerSecond: 100 });
  const put = (dataCount: number) => codeOf(limits.within({ metrics: [], dataCount }, nothing));
  expect([await put(5_000), await put(1)]).toEqual(['done', 'Throttling']);
});

test('no more are under way than may be', async () => {
  const { limits } = dataContext({ underWay: 2 });
  let finish = nothing as () => void;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const put = (work: () => Promise<void>) => codeOf(limits.within({ metrics: [], dataCount: 1 }, work));
  const running = [put(() => finished), put(() => finished)];
  expect(await put(nothing)).toBe('Throttling');
  finish();
  expect(await Promise.all(running)).toEqual(['done', 'done']);
  expect(await put(nothing)).toBe('done');
});

test('new metrics end at a bound; those that are there go on, and old ones make room', async () => {
  const context = dataContext({ metrics: 2 });
  const put = (name: string) =>
    codeOf(putMetricData(context, { Namespace: 'Shop', MetricData: [{ MetricName: name, Value: 1 }] }));
  expect([await put('a'), await put('b'), await put('c'), await put('a')]).toEqual([
    'done',
    'done',
    'LimitExceeded',
    'done',
  ]);
  context.clock.ms += 15 * 24 * 3_600_000;
  expect([await put('b'), await put('c')]).toEqual(['done', 'done']);
  expect(await codeOf(context.limits.within({ metrics: [metric('d')], dataCount: 1 }, nothing))).toBe(
    'LimitExceeded',
  );
});
