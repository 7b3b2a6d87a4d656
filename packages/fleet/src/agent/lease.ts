/**
 * (pure) When a host lets its primaries take writes, and when another host's node may be made a primary in their place.
 *
 * A host that can't be reached may be dead, or only cut off and still serving clients. So that nobody has to guess, it
 * holds a lease: while it can renew it, it serves; when it can't, it takes writes away from its primaries before the
 * lease ends, and only after that end does the control plane promote elsewhere.
 *
 * No clock is compared with another. The holder asks a question and remembers when; the grantor remembers when the
 * question came, and answers. Asking came first, so the holder's lease, counted from its asking, ends before the
 * grantor's, counted from the question's arrival; however late an answer arrives. Clocks only have to run equally fast, to within
 * `fenceAheadMs` in `leaseMs`.
 *
 * When all controllers are gone nobody can renew, and nobody can promote either: then serving goes on by consent. Every
 * other host that has a member of the group must give it. One that hears a controller does not, since that one may be
 * about to promote; and one that gave it refuses, for as long as it is good for, orders of a later epoch about the group.
 */

export interface LeaseTerms {
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  /** A host that was not renewed for so long hears no controller. Some renewals; soon enough to ask others before the end. */
  readonly silentAfterMs: number;
  /** How long before its lease ends a host begins to take writes away: what that may take. */
  readonly fenceAheadMs: number;
  /** How long other hosts' consent is good for. */
  readonly consentMs: number;
}

export const leaseTerms: LeaseTerms = {
  leaseMs: 3_000,
  renewEveryMs: 500,
  silentAfterMs: 1_200,
  fenceAheadMs: 700,
  consentMs: 2_000,
};

export interface LeaseHolder {
  /** A new question; the answer to it counts from `nowMs`. */
  ask(nowMs: number): string;
  /** The grantor answered. An answer to a question of another life, or one asked before the last answered, says nothing. */
  granted(question: string): void;
  /** When primaries must have stopped taking writes, unless others consent. */
  readonly endsAtMs: number;
  /** Whether primaries may take writes without anybody's consent. */
  serves(nowMs: number): boolean;
  /** Whether a controller renewed it lately. */
  hears(nowMs: number): boolean;
}

const mostOpenQuestions = 64;

/** @param life differs from that of every holder before on this host. Begins without a lease. */
export function leaseHolder(terms: LeaseTerms, life: string): LeaseHolder {
  const asked = new Map<string, number>();
  let count = 0;
  let grantedAtMs = Number.NEGATIVE_INFINITY;
  return {
    ask(nowMs) {
      count += 1;
      const question = `${life}.${count}`;
      asked.set(question, nowMs);
      if (asked.size > mostOpenQuestions) asked.delete(asked.keys().next().value!);
      return question;
    },
    granted(question) {
      const atMs = asked.get(question);
      if (atMs === undefined) return;
      for (const [other, otherMs] of asked) if (otherMs <= atMs) asked.delete(other);
      grantedAtMs = Math.max(grantedAtMs, atMs);
    },
    get endsAtMs() {
      return grantedAtMs + terms.leaseMs;
    },
    serves: (nowMs) => nowMs < grantedAtMs + terms.leaseMs - terms.fenceAheadMs,
    hears: (nowMs) => nowMs < grantedAtMs + terms.silentAfterMs,
  };
}

export interface LeaseGrantor {
  /**
   * Called before an answer is sent; whether it arrives will not be known, and the same answer may be sent again.
   * @param questionAtMs when the question that it answers arrived here.
   */
  granting(questionAtMs: number): void;
  /** The holder, if it lives, has taken writes away. */
  expired(nowMs: number): boolean;
  readonly expiresAtMs: number;
}

/** @param sinceMs when this grantor began: one before it may have granted a lease right until then. */
export function leaseGrantor(terms: LeaseTerms, sinceMs: number): LeaseGrantor {
  let expiresAtMs = sinceMs + terms.leaseMs;
  return {
    granting(questionAtMs) {
      expiresAtMs = Math.max(expiresAtMs, questionAtMs + terms.leaseMs);
    },
    expired: (nowMs) => nowMs >= expiresAtMs,
    get expiresAtMs() {
      return expiresAtMs;
    },
  };
}

/** What a host's consents allow its groups, and until when. */
export interface ConsentHolder {
  /** Every other host of the group consented to what was asked at `askedAtMs`. */
  given(group: string, askedAtMs: number): void;
  endsAtMs(group: string): number;
  serves(group: string, nowMs: number): boolean;
}

export function consentHolder(terms: LeaseTerms): ConsentHolder {
  const askedAt = new Map<string, number>();
  const endsAtMs = (group: string) => (askedAt.get(group) ?? Number.NEGATIVE_INFINITY) + terms.consentMs;
  return {
    given(group, askedAtMs) {
      askedAt.set(group, Math.max(askedAtMs, askedAt.get(group) ?? askedAtMs));
    },
    endsAtMs,
    serves: (group, nowMs) => nowMs < endsAtMs(group) - terms.fenceAheadMs,
  };
}

/** A promise to another host: no order of a later epoch about the group is carried out before `untilMs`. */
export interface ConsentPromise {
  readonly epoch: number;
  readonly untilMs: number;
}

export interface ConsentQuestion {
  readonly group: string;
  /** The highest the asking host has seen of the group. */
  readonly epoch: number;
}

/** What the host that is asked for its consent knows. */
export interface ConsentGiver {
  readonly hearsController: boolean;
  /** The highest it has seen of the group; 0 for none. */
  readonly seenEpoch: number;
}

/** Whether the asking host may go on; the answer is a promise, kept with `promiseAfter`. */
export function consents({ epoch }: ConsentQuestion, { hearsController, seenEpoch }: ConsentGiver): boolean {
  return !hearsController && seenEpoch <= epoch;
}

/** What is promised once consent was given at `nowMs`. It is counted from after the question: it outlasts the consent. */
export function promiseAfter(
  terms: LeaseTerms,
  before: ConsentPromise | undefined,
  { epoch }: ConsentQuestion,
  nowMs: number,
): ConsentPromise {
  return {
    epoch: Math.min(epoch, before !== undefined && before.untilMs > nowMs ? before.epoch : epoch),
    untilMs: nowMs + terms.consentMs,
  };
}

/** Whether an order of `epoch` breaks the promise. */
export function breaksPromise(promise: ConsentPromise | undefined, epoch: number, nowMs: number): boolean {
  return promise !== undefined && epoch > promise.epoch && nowMs < promise.untilMs;
}
