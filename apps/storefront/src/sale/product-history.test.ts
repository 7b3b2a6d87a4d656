import { describe, expect, test } from 'vitest';
import type { Observation } from './observation.ts';
import { type CommittedState, productHistory } from './product-history.ts';

/** Committed at these clock times, one transaction each. */
function state(sequence: number, committedAtMs: number, priceCents: number, stock = 10): CommittedState {
  return {
    productId: 1,
    priceCents,
    stock,
    sequence,
    transactionId: `t${sequence}`,
    committedAtMs,
    visibleFromMs: committedAtMs,
  };
}

function page(priceCents: number, sentAtMs: number, stock = 10, receivedAtMs = sentAtMs + 5): Observation {
  return { productId: 1, priceCents, stock, sentAtMs, receivedAtMs };
}

function historyOf(...states: CommittedState[]) {
  const history = productHistory();
  history.add(states);
  return history;
}

describe('a served page', () => {
  const history = historyOf(state(1, 1_000, 500), state(2, 2_000, 600), state(3, 3_000, 700));

  test('is current while it is true', () => {
    expect(history.judge(page(500, 1_500))).toEqual({ kind: 'current' });
    expect(history.judge(page(700, 9_999))).toEqual({ kind: 'current' });
  });

  test('is current when it became true while it was under way', () => {
    expect(history.judge(page(600, 1_998, 10, 2_003))).toEqual({ kind: 'current' });
  });

  test('is current when it was replaced only after it was asked for', () => {
    expect(history.judge(page(500, 1_999, 10, 2_500))).toEqual({ kind: 'current' });
  });

  test('is old by the time since its first replacement, not its last', () => {
    expect(history.judge(page(500, 3_400))).toEqual({ kind: 'old', staleMs: 1_400 });
  });

  test('is a phantom when nobody ever committed it', () => {
    expect(history.judge(page(555, 2_500))).toEqual({ kind: 'phantom' });
    expect(history.judge(page(600, 2_500, 9))).toEqual({ kind: 'phantom' });
    expect(history.judge({ ...page(500, 2_500), productId: 2 })).toEqual({ kind: 'phantom' });
  });

  test('is a phantom when it was shown before it was committed', () => {
    expect(history.judge(page(700, 2_500))).toEqual({ kind: 'phantom' });
  });
});

test('of several equal states the most favourable counts', () => {
  const history = historyOf(
    state(1, 1_000, 500),
    state(2, 2_000, 600),
    state(3, 3_000, 500),
    state(4, 4_000, 700),
  );
  expect(history.judge(page(500, 3_500))).toEqual({ kind: 'current' });
  expect(history.judge(page(500, 4_100))).toEqual({ kind: 'old', staleMs: 100 });
});

test('what a transaction wrote before its last word could never be seen', () => {
  const first = { ...state(2, 2_000, 600), transactionId: 'one' };
  const last = { ...state(3, 2_000, 650), transactionId: 'one' };
  const history = historyOf(state(1, 1_000, 500), first, last);
  expect(history.judge(page(600, 2_500))).toEqual({ kind: 'phantom' });
  expect(history.judge(page(650, 2_500))).toEqual({ kind: 'current' });
  expect(history.changes(1, 1_500, 2_500)).toBe(1);
});

test('the order is that of commits, not that of writing', () => {
  const history = historyOf(state(1, 1_000, 500), state(2, 3_000, 600), state(3, 2_000, 550));
  expect(history.judge(page(550, 2_500))).toEqual({ kind: 'current' });
  expect(history.judge(page(550, 3_300))).toEqual({ kind: 'old', staleMs: 300 });
});

test('a state that arrives late is put where it belongs, once', () => {
  const history = historyOf(state(1, 1_000, 500), state(3, 3_000, 700));
  expect(history.judge(page(500, 2_500))).toEqual({ kind: 'current' });
  history.add([state(2, 2_000, 600), state(3, 3_000, 700)]);
  expect(history.judge(page(500, 2_500))).toEqual({ kind: 'old', staleMs: 500 });
  expect(history.size).toBe(3);
});

test('a change that the disk held back replaces nothing before it can be seen, and may be shown from its commit on', () => {
  const held = { ...state(2, 2_000, 600), visibleFromMs: 2_400 };
  const history = historyOf(state(1, 1_000, 500), held);
  expect(history.judge(page(500, 2_390))).toEqual({ kind: 'current' });
  expect(history.judge(page(500, 2_500))).toEqual({ kind: 'old', staleMs: 100 });
  expect(history.judge(page(600, 2_010))).toEqual({ kind: 'current' });
});
