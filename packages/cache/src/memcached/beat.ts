/**
 * (pure) How a reader knows how fresh an entry on memcached is.
 *
 * memcached runs no scripts and tells no time in milliseconds, so the proof may compare no clocks. It rests on two
 * orders: commands of one connection are done in their order, and each version of an item replaces a known one.
 *
 * On every node the invalidator keeps one item, the beat: an epoch, a counter, a position. A round on one node is:
 *   1. learn the beat's CAS number and its counter n-1 (by the last store's answer, or by reading it);
 *   2. then ask the database how far it is: every commit acknowledged before that question is up to position L;
 *   3. wait until everything up to L is visible, and removed from this node, confirmed;
 *   4. store counter n, only over the CAS number of step 1.
 * So whoever finds n knows: n-1 stood there before the question of n was asked, and everything acknowledged before
 * that question is removed. Versions form one line, however many invalidators write and whatever lands late.
 * (A version may also replace one of the same counter, to say more of positions: of time it then says nothing new.)
 *
 * A reader can't know when that question was asked. But if it saw a counter of at most n-2 in a reply to a read that
 * it sent at its own time t, then n-1 was stored after t, and so the question of n was asked after t. Its age is at
 * most now - t, by the reader's clock alone, whatever the length of rounds and delays of messages.
 *
 * The reader asks for the beat BEFORE the entry, on one connection: what was removed before the beat was stored isn't
 * found after it. Nothing that was removed comes back: a fill replaces the very placeholder that its miss made, and a
 * removal waits until the change is visible, so a placeholder made after it belongs to a load that sees the change.
 *
 * Versions that fail. Entry first, then beat: the removal and the beat can fall between. Trusting n when n-1 was
 * seen: the store of n may be late by any time after its question. A bound on the length of rounds, kept by the
 * invalidator: it can't bound how late its last command lands. Storing without CAS: a store that lands late puts an
 * old counter over a new one, and a reader that saw it takes the next for new. Removing at once when the event comes:
 * the next miss reads the old row, and no removal follows.
 *
 * The list of nodes decides where removals go, so a beat names it (digest), and a reader with another list believes
 * nothing. With a new list every node begins a new epoch: entries of a former time as the key's owner are void.
 */

export interface Beat {
  /** 12 hex digits; entries of another epoch are void. */
  readonly epoch: string;
  readonly counter: number;
  /** Everything up to here is visible and removed, 16 hex digits. */
  readonly applied: string;
  readonly digest: string;
  /** Definitions that are void, see far/voids.ts. */
  readonly voids: string;
  /** Names the history of positions; `application` where no feed keeps the beat. */
  readonly history: string;
}

const magic = 'LM1';

export function encodeBeat({ epoch, counter, applied, digest, voids, history }: Beat): string {
  return [
    magic,
    epoch,
    String(counter),
    applied,
    digest,
    voids === '' ? '-' : voids,
    encodeURIComponent(history),
  ].join(' ');
}

/** @returns undefined for what is no beat. Never throws. */
export function parseBeat(text: string): Beat | undefined {
  const [mark, epoch = '', counter = '', applied = '', digest = '', voids = '', history = '', ...rest] =
    text.split(' ');
  if (mark !== magic || rest.length > 0 || !/^\d{1,15}$/.test(counter)) return undefined;
  if (!/^[0-9a-f]{12}$/.test(epoch) || !/^[0-9a-f]{16}$/.test(applied) || !/^[0-9a-f]{12}$/.test(digest))
    return undefined;
  if (!/^(-|([0-9a-f]{24})+)$/.test(voids)) return undefined;
  try {
    return {
      epoch,
      counter: Number(counter),
      applied,
      digest,
      voids: voids === '-' ? '' : voids,
      history: decodeURIComponent(history),
    };
  } catch {
    return undefined;
  }
}

const never = Number.NEGATIVE_INFINITY;

/** One reader's memory of one node's beat. */
export class BeatWatch {
  #epoch = '';
  #counter = -1;
  /** When reads were sent that found the counter as it is, at most one less, at most two less. */
  #seenAtMs = never;
  #seenOneLessAtMs = never;
  #seenTwoLessAtMs = never;

  /** @param sentAtMs when the read that found it was sent, by this process's clock. */
  observe({ epoch, counter }: Beat, sentAtMs: number): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#counter = counter;
      this.#seenAtMs = sentAtMs;
      this.#seenOneLessAtMs = never;
      this.#seenTwoLessAtMs = never;
      return;
    }
    if (counter === this.#counter) {
      this.#seenAtMs = Math.max(this.#seenAtMs, sentAtMs);
      return;
    }
    // A reply that comes late from a connection before: what it says was true when it was sent.
    if (counter < this.#counter) return;
    this.#seenTwoLessAtMs = counter === this.#counter + 1 ? this.#seenOneLessAtMs : this.#seenAtMs;
    this.#seenOneLessAtMs = this.#seenAtMs;
    this.#counter = counter;
    this.#seenAtMs = sentAtMs;
  }

  /** Everything acknowledged before this local time is removed, where this beat stands; -Infinity: nobody knows. */
  provenSinceMs({ epoch, counter }: Beat): number {
    return epoch === this.#epoch && counter === this.#counter ? this.#seenTwoLessAtMs : never;
  }

  /** The same of the newest one seen. */
  get newestProvenSinceMs(): number {
    return this.#seenTwoLessAtMs;
  }
}
