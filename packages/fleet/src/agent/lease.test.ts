import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  breaksPromise,
  consentHolder,
  consents,
  leaseGrantor,
  leaseHolder,
  leaseTerms,
  promiseAfter,
} from './lease.ts';

const { leaseMs, fenceAheadMs, consentMs } = leaseTerms;

describe('a lease', () => {
  test('is not held before the first answer', () => {
    const holder = leaseHolder(leaseTerms, 'a');
    expect(holder.serves(0)).toBe(false);
    holder.granted(holder.ask(0));
    expect(holder.serves(leaseMs - fenceAheadMs - 1)).toBe(true);
    expect(holder.serves(leaseMs - fenceAheadMs)).toBe(false);
  });

  test('counts from the question, and an answer to an older one takes nothing back', () => {
    const holder = leaseHolder(leaseTerms, 'a');
    const [first, second] = [holder.ask(0), holder.ask(500)];
    holder.granted(second);
    holder.granted(first);
    expect(holder.endsAtMs).toBe(500 + leaseMs);
  });

  test('an answer to a question of an earlier life says nothing', () => {
    const before = leaseHolder(leaseTerms, 'a').ask(0);
    const holder = leaseHolder(leaseTerms, 'b');
    holder.ask(100);
    holder.granted(before);
    expect(holder.serves(101)).toBe(false);
  });

  test('a grantor that begins takes it that one was just granted', () => {
    const grantor = leaseGrantor(leaseTerms, 1_000);
    expect(grantor.expired(1_000 + leaseMs - 1)).toBe(false);
    expect(grantor.expired(1_000 + leaseMs)).toBe(true);
  });

  test('ends at the holder before it ends at the grantor, however messages are late or lost', () => {
    // Both clocks show the same time here; neither is told the other's.
    const step = fc.record({ toGrantorMs: fc.nat(4_000), toHolderMs: fc.nat(4_000), lost: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
        const holder = leaseHolder(leaseTerms, 'a');
        const grantor = leaseGrantor(leaseTerms, 0);
        let nowMs = 0;
        for (const { toGrantorMs, toHolderMs, lost } of steps) {
          const question = holder.ask(nowMs);
          grantor.granting(nowMs + toGrantorMs);
          nowMs += toGrantorMs + toHolderMs;
          if (!lost) holder.granted(question);
          if (grantor.expired(nowMs)) expect(holder.serves(nowMs)).toBe(false);
          expect(holder.endsAtMs).toBeLessThanOrEqual(grantor.expiresAtMs);
        }
      }),
    );
  });
});

describe('consent', () => {
  const question = { group: 'shop', epoch: 4 };

  test('is refused by a host that hears a controller, or knows of a later decision', () => {
    expect(consents(question, { hearsController: false, seenEpoch: 4 })).toBe(true);
    expect(consents(question, { hearsController: false, seenEpoch: 0 })).toBe(true);
    expect(consents(question, { hearsController: true, seenEpoch: 4 })).toBe(false);
    expect(consents(question, { hearsController: false, seenEpoch: 5 })).toBe(false);
  });

  test('is a promise that lasts longer than what it allows', () => {
    const holder = consentHolder(leaseTerms);
    holder.given('shop', 1_000);
    const promise = promiseAfter(leaseTerms, undefined, question, 1_300);
    expect(holder.serves('shop', 1_000 + consentMs - fenceAheadMs - 1)).toBe(true);
    expect(holder.serves('shop', 1_000 + consentMs - fenceAheadMs)).toBe(false);
    expect(holder.serves('other', 1_001)).toBe(false);
    expect(promise.untilMs).toBeGreaterThan(holder.endsAtMs('shop'));
    expect(breaksPromise(promise, 5, promise.untilMs - 1)).toBe(true);
    expect(breaksPromise(promise, 4, promise.untilMs - 1)).toBe(false);
    expect(breaksPromise(promise, 5, promise.untilMs)).toBe(false);
    expect(breaksPromise(undefined, 5, 0)).toBe(false);
  });

  test('a second one does not loosen a first that still holds', () => {
    const first = promiseAfter(leaseTerms, undefined, question, 0);
    const second = promiseAfter(leaseTerms, first, { group: 'shop', epoch: 6 }, 100);
    expect(second).toEqual({ epoch: 4, untilMs: 100 + consentMs });
    expect(promiseAfter(leaseTerms, first, { group: 'shop', epoch: 6 }, first.untilMs)).toMatchObject({
      epoch: 6,
    });
  });
});
