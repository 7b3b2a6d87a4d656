import { expect, test } from 'vitest';
import { auditPages, oversoldUnits, type StockLedger } from './auditor.ts';
import type { Observation } from './observation.ts';
import { productHistory } from './product-history.ts';

const history = productHistory();
history.add([
  {
    productId: 1,
    priceCents: 500,
    stock: 5,
    sequence: 1,
    transactionId: 'a',
    committedAtMs: 1_000,
    visibleFromMs: 1_000,
  },
  {
    productId: 1,
    priceCents: 400,
    stock: 5,
    sequence: 2,
    transactionId: 'b',
    committedAtMs: 2_000,
    visibleFromMs: 2_000,
  },
]);

function page(priceCents: number, sentAtMs: number): Observation {
  return { productId: 1, priceCents, stock: 5, sentAtMs, receivedAtMs: sentAtMs + 1 };
}

test('pages within the bound are late, pages beyond it are stale, and the worst is kept', () => {
  const audit = auditPages(
    [page(500, 1_500), page(500, 2_250), page(500, 2_251), page(500, 2_900)],
    history,
    250,
  );
  expect(audit).toMatchObject({ observations: 4, stalePages: 2, phantomPages: 0, worstStaleMs: 900 });
  expect(audit.examples.map((one) => one.staleMs)).toEqual([900, 251]);
});

test('phantoms are counted apart and come first among the examples', () => {
  const audit = auditPages([page(500, 2_900), page(123, 2_900)], history, 250);
  expect(audit).toMatchObject({ stalePages: 1, phantomPages: 1 });
  expect(audit.examples[0]).toMatchObject({ priceCents: 123, staleMs: null });
});

const honest: StockLedger = {
  productId: 1,
  initialStock: 10,
  finalStock: 3,
  soldUnits: 12,
  restockedUnits: 5,
};

test('stock that was taken once for every sold unit is not oversold', () => {
  expect(oversoldUnits([honest])).toBe(0);
  // Taken and not sold: a loss for the shop, and nobody was sold what was not there.
  expect(oversoldUnits([{ ...honest, soldUnits: 11 }])).toBe(0);
});

test('oversold are units sold twice, sold below zero, and sold beyond what a restock put in', () => {
  expect(oversoldUnits([{ ...honest, soldUnits: 14 }])).toBe(2);
  expect(oversoldUnits([{ ...honest, soldUnits: 18, finalStock: -3 }])).toBe(3);
  expect(oversoldUnits([{ ...honest, restockedUnits: 0, finalStock: 0 }])).toBe(2);
  expect(
    oversoldUnits([
      { ...honest, soldUnits: 13 },
      { ...honest, productId: 2, soldUnits: 1 },
    ]),
  ).toBe(1);
});
