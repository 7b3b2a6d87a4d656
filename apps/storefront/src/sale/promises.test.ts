import { describe, expect, test } from 'vitest';
import { judgePromises } from './promises.ts';
import type { ModeReport, SaleReport } from './report.ts';
import { exampleMode, exampleReport } from './report-fixture.ts';

function broken(change: Partial<SaleReport>): string[] {
  return judgePromises(exampleReport(change))
    .filter((promise) => !promise.held)
    .map((promise) => promise.name);
}

function withLarder(change: Partial<ModeReport>): Partial<SaleReport> {
  return { modes: { ...exampleReport().modes, larder: exampleMode(change) } };
}

test('a good sale keeps all promises', () => {
  expect(broken({})).toEqual([]);
});

describe('each fault breaks its promise', () => {
  const { freshness, failover, saturation, modes } = exampleReport();
  test.each<[string, Partial<SaleReport>, RegExp]>([
    ['one stale page', withLarder({ stalePages: 1 }), /no page is stale/],
    ['nothing audited', withLarder({ auditedPages: 0 }), /no page is stale/],
    ['a phantom', withLarder({ phantomPages: 1 }), /never was true/],
    [
      'slow to show',
      { freshness: { ...freshness, commitToVisibleMs: { p50: 6, p99: 51, max: 90 } } },
      /visible within/,
    ],
    ['a change unseen', withLarder({ priceChangesUnseen: 1 }), /visible within/],
    [
      'no change at all',
      { freshness: { ...freshness, commitToVisibleMs: { p50: null, p99: null, max: null } } },
      /visible within/,
    ],
    ['oversold', withLarder({ oversoldUnits: 1 }), /oversold/],
    ['an order twice', withLarder({ duplicateOrders: 1 }), /oversold/],
    ['nothing sold', withLarder({ soldUnits: 0 }), /oversold/],
    ['a stampede', withLarder({ loadsPerHotChange: 1.51 }), /costs at most/],
    ['errors beyond the gap', withLarder({ errors: 31 }), /no more errors/],
    ['nobody promoted', { failover: { ...failover, promotedMemberId: null } }, /survives/],
    ['a blind auditor', { modes: { ...modes, ttl: exampleMode({ stalePages: 0 }) } }, /auditor sees/],
    [
      'too slow in every round',
      {
        saturation: {
          ...saturation,
          ratios: { ...saturation.ratios, larderToNone: { median: 2.5, min: 2, max: 2.9 } },
        },
      },
      /3\.0 times/,
    ],
  ])('%s', (_fault, change, name) => {
    const names = broken(change);
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(name);
  });
});

test('errors that the time without a primary explains are no fault', () => {
  expect(broken(withLarder({ errors: 30 }))).toEqual([]);
});

test('a ratio below its target within the spread is held and says so', () => {
  const { saturation } = exampleReport();
  const ratios = { ...saturation.ratios, larderToStatic: { median: 0.88, min: 0.8, max: 0.95 } };
  const promise = judgePromises(exampleReport({ saturation: { ...saturation, ratios } })).at(-1)!;
  expect(promise.held).toBe(true);
  expect(promise.detail).toBe('0.88 [0.80..0.95]; below the target, but within the spread');
});
