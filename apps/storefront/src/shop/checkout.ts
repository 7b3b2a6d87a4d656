/** A checkout from the cart to the committed order: hold, buy, tell the cache, let go. */
import type { Catalogue } from './catalogue.ts';
import type { Counters } from './counters.ts';
import type { Database } from './database.ts';
import { findOrder, type OrderAnswer, type OrderRequest, placeOrder } from './orders.ts';
import type { StockHolds } from './stock.ts';

export interface Checkout {
  /**
   * Places the order once, however often it is called with the same key.
   * @throws what the database throws; then nothing was ordered, or the same call will find the order.
   */
  place(request: OrderRequest): Promise<OrderAnswer>;
  /** For a repeated request whose cart is empty already because the first one succeeded. */
  earlier(idempotencyKey: string, customerId: number): Promise<OrderAnswer | undefined>;
}

export function newCheckout(
  database: Database,
  catalogue: Catalogue,
  holds: StockHolds,
  counters: Counters,
): Checkout {
  return {
    async place(request) {
      const { idempotencyKey: holder, units } = request;
      const held = await holds.hold(holder, units);
      if (held.kind === 'sold-out') {
        counters.orders.soldOutByCache += 1;
        return held;
      }
      let placed = false;
      try {
        const answer = await placeOrder(database, request);
        placed = answer.kind === 'placed';
        if (answer.kind === 'sold-out') counters.orders.soldOutByDatabase += 1;
        if (answer.kind === 'placed' && answer.repeated) counters.orders.repeated += 1;
        if (answer.kind === 'placed' && !answer.repeated) {
          counters.orders.placed += 1;
          // Before the release: whoever holds next must be measured against the smaller stock.
          await catalogue.sold(units);
        }
        return answer;
      } finally {
        await holds.release(holder, units, placed);
      }
    },
    earlier: (idempotencyKey, customerId) => findOrder(database.query, idempotencyKey, customerId),
  };
}
