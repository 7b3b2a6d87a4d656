import { expect, test } from 'vitest';
import { type CrowdPlan, type TimedStep, visits } from './crowd.ts';

const plan: CrowdPlan = {
  pagesPerSecond: 1_000,
  seed: 7,
  hotProductId: 3,
  scarceProductId: 4,
  products: Array.from({ length: 50 }, (_, index) => ({ id: index + 1, weight: 1 })),
  categoryIds: [1, 2],
  customerIds: [10, 11],
};

function stepsUntil(untilMs: number, of: CrowdPlan = plan): TimedStep[] {
  const steps: TimedStep[] = [];
  for (const visit of visits(of)) {
    if (visit[0]!.atMs > untilMs) return steps;
    steps.push(...visit);
  }
  return steps;
}

test('pages come at the asked rate, whatever the mix of visits', () => {
  const inTenSeconds = stepsUntil(10_000).length;
  expect(inTenSeconds).toBeGreaterThan(9_500);
  expect(inTenSeconds).toBeLessThan(10_500);
});

test('four of five pages show a product, and near half of those the hot one', () => {
  const steps = stepsUntil(20_000);
  const shown = steps.flatMap(({ step }) => (step.kind === 'product' ? step.productId : []));
  const share = shown.length / steps.length;
  expect(share).toBeGreaterThan(0.77);
  expect(share).toBeLessThan(0.83);
  const hot = shown.filter((id) => id === plan.hotProductId).length / shown.length;
  expect(hot).toBeGreaterThan(0.38);
  expect(hot).toBeLessThan(0.5);
});

test('a buyer signs in, looks, adds, opens the cart, orders and looks at the order, in this order', () => {
  for (const visit of visits(plan)) {
    if (visit.length === 1) continue;
    expect(visit.map(({ step }) => step.kind)).toEqual([
      'login',
      'product',
      'add',
      'cart',
      'checkout',
      'orders',
    ]);
    const times = visit.map(({ atMs }) => atMs);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    return;
  }
});

test('the same seed brings the same crowd, another seed another', () => {
  expect(stepsUntil(500)).toEqual(stepsUntil(500));
  expect(stepsUntil(500, { ...plan, seed: 8 })).not.toEqual(stepsUntil(500));
});
