/** Judges every page of a run against the committed history, live (roughly) and at the end (exactly). */
import type pg from 'pg';
import type { Observation } from './observation.ts';
import { type CommittedState, type ProductHistory, productHistory } from './product-history.ts';
import type { VisibilityClock } from './visibility-clock.ts';

export interface PageAudit {
  readonly observations: number;
  /** Pages that showed what had been replaced more than `boundMs` before they were asked for. */
  readonly stalePages: number;
  /** Pages that showed a price and a stock that no transaction ever committed together. */
  readonly phantomPages: number;
  readonly worstStaleMs: number;
  readonly boundMs: number;
  /** A few of the worst, to look into. */
  readonly examples: readonly (Observation & { readonly staleMs: number | null })[];
}

export interface LiveCount {
  readonly stalePages: number;
  readonly judged: number;
}

export interface Auditor {
  observe(observations: Iterable<Observation>): void;
  /** Reads what committed since the last call and judges what is old enough to be judged. */
  judgeLive(): Promise<LiveCount>;
  /** Reads the whole history anew and judges everything. */
  finish(): Promise<{ readonly pages: PageAudit; readonly history: ProductHistory }>;
}

export interface StockAudit {
  readonly oversoldUnits: number;
  readonly soldUnits: number;
  /** Idempotency keys that more than one order of the run has. */
  readonly duplicateOrders: number;
  readonly negativeStocks: number;
}

const mostExamples = 10;
// A transaction may write its history row long before it commits; no statement here runs longer than 5 s.
const lateCommitRows = 500;
const settleMs = 1_000;

export function newAuditor(
  client: pg.ClientBase,
  clock: Pick<VisibilityClock, 'invisibleUntilMs'>,
  boundMs: number,
): Auditor {
  const observations: Observation[] = [];
  const live = productHistory();
  let lastSequence = 0;
  let judged = 0;
  let stalePages = 0;

  return {
    observe(more) {
      for (const one of more) observations.push(one);
    },
    async judgeLive() {
      const states = await readHistory(client, clock, Math.max(0, lastSequence - lateCommitRows));
      live.add(states);
      lastSequence = states.at(-1)?.sequence ?? lastSequence;
      const upToMs = Date.now() - settleMs;
      while (judged < observations.length && observations[judged]!.receivedAtMs <= upToMs) {
        const verdict = live.judge(observations[judged]!);
        if (verdict.kind === 'old' && verdict.staleMs > boundMs) stalePages += 1;
        judged += 1;
      }
      return { stalePages, judged };
    },
    async finish() {
      const history = productHistory();
      history.add(await readHistory(client, clock, 0));
      return { pages: auditPages(observations, history, boundMs), history };
    },
  };
}

/** (pure) */
export function auditPages(
  observations: readonly Observation[],
  history: ProductHistory,
  boundMs: number,
): PageAudit {
  let stalePages = 0;
  let phantomPages = 0;
  let worstStaleMs = 0;
  const faults: (Observation & { staleMs: number | null })[] = [];
  for (const observation of observations) {
    const verdict = history.judge(observation);
    if (verdict.kind === 'current') continue;
    if (verdict.kind === 'phantom') {
      phantomPages += 1;
      faults.push({ ...observation, staleMs: null });
      continue;
    }
    worstStaleMs = Math.max(worstStaleMs, verdict.staleMs);
    if (verdict.staleMs <= boundMs) continue;
    stalePages += 1;
    faults.push({ ...observation, staleMs: verdict.staleMs });
  }
  const worstFirst = (one: { staleMs: number | null }): number => one.staleMs ?? Infinity;
  const examples = faults.sort((a, b) => worstFirst(b) - worstFirst(a)).slice(0, mostExamples);
  return { observations: observations.length, stalePages, phantomPages, worstStaleMs, boundMs, examples };
}

async function readHistory(
  client: pg.ClientBase,
  clock: Pick<VisibilityClock, 'invisibleUntilMs'>,
  afterSequence: number,
): Promise<CommittedState[]> {
  const { rows } = await client.query(
    `SELECT seq::float8 AS "sequence", product_id AS "productId", price_cents AS "priceCents", stock,
       xid::text AS "transactionId",
       extract(epoch FROM pg_xact_commit_timestamp(xid::xid))::float8 * 1000 AS "committedAtMs"
     FROM audit.product_history WHERE seq > $1 ORDER BY seq`,
    [afterSequence],
  );
  return (rows as Omit<CommittedState, 'visibleFromMs'>[]).map((row) => {
    const visibleFromMs = Math.max(row.committedAtMs, clock.invisibleUntilMs(row.transactionId));
    return { ...row, visibleFromMs };
  });
}

export interface StockLedger {
  readonly productId: number;
  readonly initialStock: number;
  readonly finalStock: number;
  /** In committed orders of the run. */
  readonly soldUnits: number;
  /** Put in (or, below zero, taken out) by hand, in SQL. */
  readonly restockedUnits: number;
}

/**
 * (pure) Units that were sold without having been there: what the orders hold beyond what left the stock,
 * and what a stock below zero owes. 0 when every sold unit was taken from the stock exactly once.
 */
export function oversoldUnits(ledgers: readonly StockLedger[]): number {
  let units = 0;
  for (const { initialStock, finalStock, soldUnits, restockedUnits } of ledgers) {
    const taken = initialStock + restockedUnits - Math.max(0, finalStock);
    units += Math.max(0, soldUnits - taken);
  }
  return units;
}

/** @param restocked units put in by SQL since the shop was reset, by product. */
export async function auditStock(
  client: pg.ClientBase,
  restocked: ReadonlyMap<number, number>,
): Promise<StockAudit> {
  const { rows } = await client.query(
    `SELECT p.id AS "productId", i.stock AS "initialStock", p.stock AS "finalStock",
       coalesce(sold.units, 0)::integer AS "soldUnits"
     FROM products p JOIN initial_products i USING (id)
     LEFT JOIN (
       SELECT l.product_id, sum(l.quantity) AS units FROM order_lines l
       WHERE l.order_id > (SELECT last_order_id FROM shop_contents) GROUP BY l.product_id
     ) sold ON sold.product_id = p.id
     WHERE sold.units > 0 OR p.stock <> i.stock OR p.stock < 0`,
  );
  const ledgers = (rows as Omit<StockLedger, 'restockedUnits'>[]).map((row) => {
    return { ...row, restockedUnits: restocked.get(row.productId) ?? 0 };
  });
  const duplicates = await client.query(
    `SELECT count(*)::integer AS count FROM (
       SELECT idempotency_key FROM orders WHERE id > (SELECT last_order_id FROM shop_contents)
       GROUP BY idempotency_key HAVING count(*) > 1) repeated`,
  );
  return {
    oversoldUnits: oversoldUnits(ledgers),
    soldUnits: ledgers.reduce((sum, ledger) => sum + ledger.soldUnits, 0),
    duplicateOrders: duplicates.rows[0].count,
    negativeStocks: ledgers.filter((ledger) => ledger.finalStock < 0).length,
  };
}
