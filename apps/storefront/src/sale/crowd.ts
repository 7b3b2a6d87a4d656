/**
 * Who comes when and wants what: an endless list of visits with their arrival times, the same for the same
 * seed. Arrivals are a Poisson process, so they do not wait for answers: a slow shop meets the same crowd as
 * a quick one.
 */
import { seededRandom, weighted } from '../random.ts';

export interface CrowdPlan {
  /** Pages, not visits: a buyer asks for several. */
  readonly pagesPerSecond: number;
  readonly seed: number;
  readonly hotProductId: number;
  /** Sells out during the sale, so that the last units are fought over. */
  readonly scarceProductId: number;
  /** Popularity of everything else: weight in proportion to the units sold before. */
  readonly products: readonly { readonly id: number; readonly weight: number }[];
  readonly categoryIds: readonly number[];
  readonly customerIds: readonly number[];
}

export type Step =
  | { readonly kind: 'home' }
  | { readonly kind: 'category'; readonly categoryId: number; readonly pageNumber: number }
  | { readonly kind: 'product'; readonly productId: number }
  | { readonly kind: 'login'; readonly customerId: number }
  | { readonly kind: 'add'; readonly productId: number; readonly quantity: number }
  | { readonly kind: 'cart' }
  | { readonly kind: 'checkout' }
  | { readonly kind: 'orders' };

export interface TimedStep {
  /** Since the start of the sale. */
  readonly atMs: number;
  readonly step: Step;
}

/** One page, or a buyer's six in this order; a buyer's step also waits for the answer to the one before. */
export type Visit = readonly TimedStep[];

// Of all product pages about 46 % are the hot one: 40 % here, the rest by its ordinary popularity.
const hotShareOfViews = 0.4;
const hotShareOfPurchases = 0.5;
const scarceShareOfPurchases = 0.2;
const visitWeights = { product: 78, home: 5, category: 6, purchase: 1.8 };
const stepsPerPurchase = 6;
const visitsPerPage =
  (visitWeights.product + visitWeights.home + visitWeights.category + visitWeights.purchase) /
  (visitWeights.product +
    visitWeights.home +
    visitWeights.category +
    visitWeights.purchase * stepsPerPurchase);

export function* visits(plan: CrowdPlan): Generator<Visit, never> {
  const random = seededRandom(`crowd/${plan.seed}`);
  const gaps = random.fork('gaps');
  const kinds = random.fork('kinds');
  const kind = weighted(Object.values(visitWeights), kinds);
  const ordinary = weighted(
    plan.products.map((product) => product.weight),
    random.fork('products'),
  );
  const meanGapMs = 1_000 / (plan.pagesPerSecond * visitsPerPage);
  const viewed = (): number =>
    kinds.next() < hotShareOfViews ? plan.hotProductId : plan.products[ordinary()]!.id;
  const bought = (): number => {
    const draw = kinds.next();
    if (draw < hotShareOfPurchases) return plan.hotProductId;
    if (draw < hotShareOfPurchases + scarceShareOfPurchases) return plan.scarceProductId;
    return plan.products[ordinary()]!.id;
  };

  function purchase(atMs: number): Visit {
    const productId = bought();
    const quantity = kinds.next() < 0.7 ? 1 : 2 + kinds.below(2);
    const steps: Step[] = [
      { kind: 'login', customerId: kinds.pick(plan.customerIds) },
      { kind: 'product', productId },
      { kind: 'add', productId, quantity },
      { kind: 'cart' },
      { kind: 'checkout' },
      { kind: 'orders' },
    ];
    let stepAtMs = atMs;
    return steps.map((step) => {
      const timed = { atMs: stepAtMs, step };
      stepAtMs += 150 + kinds.below(250);
      return timed;
    });
  }

  for (let atMs = 0; ; ) {
    atMs += -Math.log(1 - gaps.next()) * meanGapMs;
    const drawn = kind();
    if (drawn === 0) yield [{ atMs, step: { kind: 'product', productId: viewed() } }];
    else if (drawn === 1) yield [{ atMs, step: { kind: 'home' } }];
    else if (drawn === 2) {
      const categoryId = kinds.pick(plan.categoryIds);
      yield [{ atMs, step: { kind: 'category', categoryId, pageNumber: 1 + kinds.below(2) } }];
    } else yield purchase(atMs);
  }
}
