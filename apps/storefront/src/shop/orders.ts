/** Orders in the database: placing one, and a customer's history. */
import type { SoldUnits } from './catalogue.ts';
import type { Database, Query, Statement } from './database.ts';

export interface OrderRequest {
  /** From the checkout form: the same key never makes a second order. */
  readonly idempotencyKey: string;
  readonly customerId: number;
  /** At least one, each product once. */
  readonly units: readonly SoldUnits[];
}

export type OrderAnswer =
  | { readonly kind: 'placed'; readonly orderId: number; readonly repeated: boolean }
  | { readonly kind: 'sold-out'; readonly productId: number }
  /** Another customer's order has this key. */
  | { readonly kind: 'key-taken' };

export interface PastOrder {
  readonly id: number;
  readonly placedAtSeconds: number;
  readonly totalCents: number;
  readonly lines: readonly {
    readonly productId: number;
    readonly name: string;
    readonly quantity: number;
    readonly unitPriceCents: number;
  }[];
}

const deadlockDetected = '40P01';
const deadlockTries = 3;

/** Takes the stock and writes the order, both or neither. The database alone decides whether there is stock. */
export async function placeOrder(database: Database, request: OrderRequest): Promise<OrderAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction((query) => takeAndWrite(query, request));
    } catch (error) {
      if (error instanceof Refused) return error.answer;
      if ((error as { code?: unknown }).code !== deadlockDetected || attempt === deadlockTries) throw error;
    }
  }
}

/** The order that an earlier request with this key placed. */
export async function findOrder(
  query: Query,
  idempotencyKey: string,
  customerId: number,
): Promise<OrderAnswer | undefined> {
  const [row] = await query<{ id: number; customer_id: number | null }>(findStatement, [idempotencyKey]);
  if (row === undefined) return undefined;
  if (row.customer_id !== customerId) return { kind: 'key-taken' };
  return { kind: 'placed', orderId: row.id, repeated: true };
}

/** Newest first, at most 20. */
export async function orderHistory(query: Query, customerId: number): Promise<PastOrder[]> {
  return query<PastOrder>(historyStatement, [customerId]);
}

/** Rolls the transaction back and carries the answer out of it. */
class Refused extends Error {
  readonly answer: OrderAnswer;
  constructor(answer: OrderAnswer) {
    super(answer.kind);
    this.answer = answer;
  }
}

async function takeAndWrite(query: Query, request: OrderRequest): Promise<OrderAnswer> {
  // A second request with the same key waits here until the first has committed or failed.
  const [order] = await query<{ id: number }>(insertStatement, [request.idempotencyKey, request.customerId]);
  if (order === undefined) {
    const earlier = await findOrder(query, request.idempotencyKey, request.customerId);
    if (earlier !== undefined) throw new Refused(earlier);
    throw new Error(`There is no customer ${request.customerId}.`);
  }
  // In the order of ids: two carts with the same products can then wait for each other in one direction only.
  const units = [...request.units].sort((left, right) => left.productId - right.productId);
  const prices: number[] = [];
  for (const { productId, quantity } of units) {
    const [taken] = await query<{ price: number }>(takeStatement, [productId, quantity]);
    if (taken === undefined) throw new Refused({ kind: 'sold-out', productId });
    prices.push(taken.price);
  }
  await query(linesStatement, [
    order.id,
    units.map((one) => one.productId),
    units.map((one) => one.quantity),
    prices,
  ]);
  return { kind: 'placed', orderId: order.id, repeated: false };
}

const insertStatement: Statement = {
  name: 'order_insert',
  text: `INSERT INTO orders (idempotency_key, customer_id, country)
    SELECT $1, id, country FROM customers WHERE id = $2
    ON CONFLICT (idempotency_key) DO NOTHING RETURNING id`,
};

const findStatement: Statement = {
  name: 'order_find',
  text: 'SELECT id, customer_id FROM orders WHERE idempotency_key = $1',
};

const takeStatement: Statement = {
  name: 'stock_take',
  text: `UPDATE products SET stock = stock - $2, updated_at = now()
    WHERE id = $1 AND stock >= $2 RETURNING price_cents AS price`,
};

const linesStatement: Statement = {
  name: 'order_lines_insert',
  text: `INSERT INTO order_lines (order_id, product_id, quantity, unit_price_cents)
    SELECT $1, * FROM unnest($2::integer[], $3::integer[], $4::integer[])`,
};

const historyStatement: Statement = {
  name: 'order_history',
  text: `SELECT o.id, extract(epoch FROM o.placed_at)::integer AS "placedAtSeconds",
      sum(l.quantity::bigint * l.unit_price_cents)::bigint AS "totalCents",
      json_agg(json_build_object('productId', p.id, 'name', p.name, 'quantity', l.quantity,
        'unitPriceCents', l.unit_price_cents) ORDER BY l.id) AS lines
    FROM (SELECT id, placed_at FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC LIMIT 20) o
    JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id
    GROUP BY o.id, o.placed_at ORDER BY o.placed_at DESC, o.id DESC`,
};
