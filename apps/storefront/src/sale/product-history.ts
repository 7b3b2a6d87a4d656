/**
 * What was true and when, for every product, as the database's own trigger and commit clock tell it; and the
 * judgement of a served page against it. Pure, and independent of the shop, of the caches and of their
 * library.
 *
 * Two times bound each change. It was committed at `committedAtMs` at the earliest, and could not be seen
 * before `visibleFromMs`: who shows it earlier shows a phantom, who shows what it replaced after that is late.
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
  /** Nobody could see it before; at least `committedAtMs`. */
  readonly visibleFromMs: number;
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
  const byProduct = new Map<number, Entry>();

  function entryOf(productId: number): Entry | undefined {
    const entry = byProduct.get(productId);
    if (entry === undefined || entry.sorted) return entry;
    entry.states = committedOnly(entry.states);
    entry.placesOf = new Map();
    for (const [place, state] of entry.states.entries()) {
      const shown = shownAs(state);
      const places = entry.placesOf.get(shown);
      if (places === undefined) entry.placesOf.set(shown, [place]);
      else places.push(place);
    }
    entry.sorted = true;
    return entry;
  }

  return {
    get size() {
      return known.size;
    },
    add(states) {
      for (const state of states) {
        if (known.has(state.sequence)) continue;
        known.add(state.sequence);
        const entry: Entry = byProduct.get(state.productId) ?? {
          states: [],
          placesOf: new Map(),
          sorted: true,
        };
        entry.states.push(state);
        entry.sorted = false;
        byProduct.set(state.productId, entry);
      }
    },
    judge(observation) {
      const entry = entryOf(observation.productId);
      let best: Verdict = { kind: 'phantom' };
      for (const place of entry?.placesOf.get(shownAs(observation)) ?? []) {
        const state = entry!.states[place]!;
        if (state.committedAtMs > observation.receivedAtMs + clockGrainMs) break;
        const replacedAtMs = entry!.states[place + 1]?.visibleFromMs ?? Infinity;
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
      const states = entryOf(productId)?.states ?? [];
      return states.filter((state) => state.committedAtMs >= fromMs && state.committedAtMs <= toMs).length;
    },
  };
}

interface Entry {
  states: CommittedState[];
  /** Where in `states` a price with a stock stands: a hot product has thousands of states, each few places. */
  placesOf: Map<string, number[]>;
  sorted: boolean;
}

function shownAs(one: { readonly priceCents: number; readonly stock: number }): string {
  return `${one.priceCents}/${one.stock}`;
}

/** In the order of commits; of several states written by one transaction, only the last could ever be seen. */
function committedOnly(states: readonly CommittedState[]): CommittedState[] {
  const inOrder = [...states].sort(
    (left, right) => left.committedAtMs - right.committedAtMs || left.sequence - right.sequence,
  );
  return inOrder.filter((state, index) => inOrder[index + 1]?.transactionId !== state.transactionId);
}
