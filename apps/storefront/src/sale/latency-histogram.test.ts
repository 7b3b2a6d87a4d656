import fc from 'fast-check';
import { expect, test } from 'vitest';
import { latencyHistogram } from './latency-histogram.ts';
import { quantile } from './spread.ts';

const latencies = fc.array(fc.integer({ min: 0, max: 60_000_000 }), { minLength: 1, maxLength: 200 });

test('a quantile is never below the true one and at most 1.6 % above', () => {
  fc.assert(
    fc.property(latencies, fc.constantFrom(0.5, 0.95, 0.99), (micros, share) => {
      const histogram = latencyHistogram();
      for (const value of micros) histogram.record(value / 1000);
      const exact = quantile(micros, share) / 1000;
      expect(histogram.quantileMs(share)).toBeGreaterThanOrEqual(exact);
      expect(histogram.quantileMs(share)).toBeLessThanOrEqual(exact * 1.016 + 0.001);
    }),
  );
});

test('two histograms add up to the one of all values', () => {
  fc.assert(
    fc.property(latencies, latencies, (left, right) => {
      const [one, two, both] = [latencyHistogram(), latencyHistogram(), latencyHistogram()];
      for (const value of left) one.record(value / 1000);
      for (const value of right) two.record(value / 1000);
      for (const value of [...left, ...right]) both.record(value / 1000);
      one.add(two);
      expect(one.summary()).toEqual(both.summary());
    }),
  );
});

test('no value gives zeros; one beyond the last bucket is still the maximum', () => {
  const histogram = latencyHistogram();
  expect(histogram.summary()).toEqual({ count: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0 });
  histogram.record(10 * 60_000);
  expect(histogram.summary().maxMs).toBe(10 * 60_000);
  expect(histogram.summary().p50Ms).toBeLessThanOrEqual(10 * 60_000);
});
