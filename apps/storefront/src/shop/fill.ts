/**
 * Fills the shop's tables, all or nothing: one transaction drops the old tables, creates new ones, loads and
 * indexes them. A failed load leaves the shop as it was.
 */
import type pg from 'pg';
import {
  auditStatements,
  dropStatements,
  indexStatements,
  renameStatements,
  tableStatements,
} from './schema.ts';

export type Cell = string | number | null;

/** What to fill the shop with. Each list is read once, in the order given here. */
export interface ShopContents {
  /** What it was made from; equal sources give equal contents. */
  readonly source: Readonly<Record<string, Cell>>;
  /** The product that the sale is about. */
  readonly hotProductId: number;
  /** id, name */
  readonly categories: Iterable<readonly Cell[]>;
  /** id, sku, name, description, category id, price in cents, stock */
  readonly products: Iterable<readonly Cell[]>;
  /** id, name, country */
  readonly customers: Iterable<readonly Cell[]>;
  /** id, idempotency key, customer id or null, country, age in seconds */
  readonly orders: Iterable<readonly Cell[]>;
  /** order id, product id, quantity, unit price in cents, age in seconds */
  readonly orderLines: Iterable<readonly Cell[]>;
}

export interface Filled {
  readonly hotProductId: number;
  /** True when the tables already held contents of the same source, made within the last day. */
  readonly reused: boolean;
  readonly rows: Readonly<Record<string, number>>;
}

export type ReportProgress = (sentence: string) => void;

const batchRows = 20_000;

/** The source of what the shop holds, unless it is more than a day old: "sold in 7 days" would run empty. */
export async function currentContents(
  client: pg.ClientBase,
): Promise<{ source: Readonly<Record<string, Cell>>; hotProductId: number } | undefined> {
  const exists = await client.query("SELECT to_regclass('shop_contents') IS NOT NULL AS exists");
  if (exists.rows[0].exists !== true) return undefined;
  const { rows } = await client.query(
    `SELECT source, hot_product_id FROM shop_contents WHERE filled_at > now() - interval '1 day'`,
  );
  return rows[0] && { source: rows[0].source, hotProductId: rows[0].hot_product_id };
}

/**
 * Makes the database hold `contents`; keeps what is there when it came from an equal source.
 * @param client a connection of its own, not in a transaction.
 */
export async function fillShop(
  client: pg.ClientBase,
  contents: ShopContents,
  report: ReportProgress = () => {},
): Promise<Filled> {
  const current = await currentContents(client);
  if (current !== undefined && sameSource(current.source, contents.source)) {
    return { hotProductId: current.hotProductId, reused: true, rows: {} };
  }
  const rows: Record<string, number> = {};
  await client.query('BEGIN');
  try {
    for (const statement of [...dropStatements, ...tableStatements]) await client.query(statement);
    for (const table of tables) {
      rows[table.name] = await load(client, table, contents[table.from]);
      report(`${rows[table.name]!.toLocaleString('en')} rows in ${table.name}`);
    }
    for (const statement of [...indexStatements, ...renameStatements]) await client.query(statement);
    await client.query('INSERT INTO initial_products SELECT id, price_cents, stock FROM products');
    for (const statement of auditStatements) await client.query(statement);
    await client.query(
      `INSERT INTO shop_contents (source, hot_product_id, last_order_id)
       VALUES ($1, $2, (SELECT coalesce(max(id), 0) FROM orders))`,
      [JSON.stringify(contents.source), contents.hotProductId],
    );
    await client.query(beginHistory);
    await client.query(`SELECT setval(pg_get_serial_sequence('orders', 'id'),
      (SELECT coalesce(max(id), 0) + 1 FROM orders), false)`);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
  // Sets the visibility map too: without it the index-only scans would read the heap.
  await client.query('VACUUM (ANALYZE) categories, products, customers, orders, order_lines');
  report('indexes and statistics');
  return { hotProductId: contents.hotProductId, reused: false, rows };
}

/**
 * Puts prices and stock back to where they began, drops the orders placed since, and starts the audit
 * history anew, so that the next run meets the same shop. No shop process may be taking orders meanwhile.
 */
export async function resetShop(client: pg.ClientBase): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('DELETE FROM order_lines WHERE order_id > (SELECT last_order_id FROM shop_contents)');
    await client.query('DELETE FROM orders WHERE id > (SELECT last_order_id FROM shop_contents)');
    await client.query('TRUNCATE sessions');
    await client.query(
      `UPDATE products p SET price_cents = i.price_cents, stock = i.stock, updated_at = now()
       FROM initial_products i
       WHERE i.id = p.id AND (p.price_cents, p.stock) IS DISTINCT FROM (i.price_cents, i.stock)`,
    );
    await client.query('TRUNCATE audit.product_history RESTART IDENTITY');
    await client.query(beginHistory);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
  await client.query('VACUUM (ANALYZE) products, orders, order_lines');
}

const beginHistory = `INSERT INTO audit.product_history (product_id, price_cents, stock)
  SELECT id, price_cents, stock FROM products ORDER BY id`;

interface Table {
  readonly name: string;
  readonly from: 'categories' | 'products' | 'customers' | 'orders' | 'orderLines';
  readonly columns: readonly (readonly [name: string, type: string])[];
}

const age = ['placed_at', 'age'] as const;

const tables: readonly Table[] = [
  {
    name: 'categories',
    from: 'categories',
    columns: [
      ['id', 'integer'],
      ['name', 'text'],
    ],
  },
  {
    name: 'products',
    from: 'products',
    columns: [
      ['id', 'integer'],
      ['sku', 'text'],
      ['name', 'text'],
      ['description', 'text'],
      ['category_id', 'integer'],
      ['price_cents', 'integer'],
      ['stock', 'integer'],
    ],
  },
  {
    name: 'customers',
    from: 'customers',
    columns: [
      ['id', 'integer'],
      ['name', 'text'],
      ['country', 'text'],
    ],
  },
  {
    name: 'orders',
    from: 'orders',
    columns: [
      ['id', 'bigint'],
      ['idempotency_key', 'text'],
      ['customer_id', 'integer'],
      ['country', 'text'],
      age,
    ],
  },
  {
    name: 'order_lines',
    from: 'orderLines',
    columns: [
      ['order_id', 'bigint'],
      ['product_id', 'integer'],
      ['quantity', 'integer'],
      ['unit_price_cents', 'integer'],
      age,
    ],
  },
];

/** Loads by arrays of columns: about as quick as COPY here, and needs no second PostgreSQL library. */
async function load(client: pg.ClientBase, table: Table, rows: Iterable<readonly Cell[]>): Promise<number> {
  const names = table.columns.map(([name]) => name).join(', ');
  const values = table.columns.map(([, type], index) =>
    type === 'age' ? `now() - c${index} * interval '1 second'` : `c${index}`,
  );
  const arrays = table.columns.map(
    ([, type], index) => `$${index + 1}::${type === 'age' ? 'integer' : type}[]`,
  );
  const aliases = table.columns.map((_, index) => `c${index}`);
  const text = `INSERT INTO ${table.name} (${names})
    SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS input(${aliases.join(', ')})`;

  let count = 0;
  let columns: Cell[][] = table.columns.map(() => []);
  async function flush(): Promise<void> {
    if (columns[0]!.length === 0) return;
    await client.query(text, columns);
    columns = table.columns.map(() => []);
  }
  for (const row of rows) {
    for (const [index, column] of columns.entries()) column.push(row[index] ?? null);
    count += 1;
    if (count % batchRows === 0) await flush();
  }
  await flush();
  return count;
}

function sameSource(left: Readonly<Record<string, Cell>>, right: Readonly<Record<string, Cell>>): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => left[name] === right[name]);
}
