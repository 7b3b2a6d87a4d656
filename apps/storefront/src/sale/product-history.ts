/**
 * What was true and when, for every product, as the database's own trigger and commit clock tell it; and the
 * judgement of a served page against it. Pure, and independent of the shop, of the caches and of their
 * library.
 *
 * The commit time is taken when PostgreSQL writes the commit record, before the change is visible and before
 * the writer hears of it. So a page is judged a little too severely, by the time of that flush, and never
 * too mildly.
 */
import type { Observation } from './observation.ts';

export interface CommittedState {
  readonly productId: number;
  readonly priceCents: number;
  readonly stock: number;
  /** Order of writing within the history table. */
  readonly sequence: number;
  readonly transactionId: string;
  /** Milliseconds since 1970, with fractions. */
  readonly committedAtMs: number;
}

export type Verdict =
  /** It was true when the request left, or became true while it was under way. */
  | { readonly kind: 'current' }
  /** It had been replaced this long before the request left. */
  | { readonly kind: 'old'; readonly staleMs: number }
  /** No transaction ever committed this price together with this stock, or not yet when it was shown. */
  | { readonly kind: 'phantom' };

export interface ProductHistory {
  /** In any order; a state that is known already is ignored. */
  add(states: Iterable<CommittedState>): void;
  judge(observation: Observation): Verdict;
  /** Transactions that changed the product's page, committed from `fromMs` to `toMs`. */
  changes(productId: number, fromMs: number, toMs: number): number;
  readonly size: number;
}

// Observations carry whole milliseconds, commit times microseconds.
const clockGrainMs = 1;

export function productHistory(): ProductHistory {
  const known = new Set<number>();
  const byProduct = new Map<number, { states: CommittedState[]; sorted: boolean }>();

  function statesOf(productId: number): readonly CommittedState[] {
    const entry = byProduct.get(productId);
    if (entry === undefined) return [];
    if (!entry.sorted) {
      entry.states = committedOnly(entry.states);
      entry.sorted = true;
    }
    return entry.states;
  }

  return {
    get size() {
      return known.size;
    },
    add(states) {
      for (const state of states) {
        if (known.has(state.sequence)) continue;
        known.add(state.sequence);
        const entry = byProduct.get(state.productId) ?? { states: [], sorted: true };
        entry.states.push(state);
        entry.sorted = false;
        byProduct.set(state.productId, entry);
      }
    },
    judge(observation) {
      const states = statesOf(observation.productId);
      let best: Verdict = { kind: 'phantom' };
      for (const [index, state] of states.entries()) {
        if (state.priceCents !== observation.priceCents || state.stock !== observation.stock) continue;
        if (state.committedAtMs > observation.receivedAtMs + clockGrainMs) break;
        const replacedAtMs = states[index + 1]?.committedAtMs ?? Infinity;
        const staleMs = observation.sentAtMs - replacedAtMs;
        if (staleMs <= 0) return { kind: 'current' };
        // The same price and stock may have been true several times: the most favourable one counts.
        if (best.kind === 'phantom' || (best.kind === 'old' && staleMs < best.staleMs)) {
          best = { kind: 'old', staleMs };
        }
      }
      return best;
    },
    changes(productId, fromMs, toMs) {
      return statesOf(productId).filter(
        (state) => state.committedAtMs >= fromMs && state.committedAtMs <= toMs,
      ).length;
    },
  };
}

/** In the order of commits; of several states written by one transaction, only the last could ever be seen. */
function committedOnly(states: readonly CommittedState[]): CommittedState[] {
  const inOrder = [...states].sort(
    (left, right) => left.committedAtMs - right.committedAtMs || left.sequence - right.sequence,
  );
  return inOrder.filter((state, index) => inOrder[index + 1]?.transactionId !== state.transactionId);
}
