/**
 * The keys that are read most, from a sample of the reads: "space saving" (Metwally, Agrawal and El Abbadi, 2005),
 * which keeps the counts of a few keys and lets a newcomer take over the smallest one, count included. A key's
 * count is so too large by at most `over`. It forgets by halves, so that it tells of now and not of last night.
 */

export interface HotKey {
  /** `<definition>:<version>:<key>`. */
  readonly key: string;
  /** Share of all reads of late that were of this key, at most; 0 to 1. */
  readonly share: number;
}

const kept = 128;
const halveAfter = 2_000;

export class HotKeys {
  readonly #counts = new Map<string, number>();
  #total = 0;

  /** One of the sampled reads. */
  note(key: string): void {
    this.#total += 1;
    const present = this.#counts.get(key);
    if (present !== undefined) this.#counts.set(key, present + 1);
    else if (this.#counts.size < kept) this.#counts.set(key, 1);
    else this.#takeOver(key);
    if (this.#total >= halveAfter) this.#halve();
  }

  /** The hottest first. */
  top(count: number): readonly HotKey[] {
    return [...this.#counts]
      .sort(([, a], [, b]) => b - a)
      .slice(0, count)
      .map(([key, times]) => ({ key, share: times / Math.max(1, this.#total) }));
  }

  #takeOver(key: string): void {
    let smallest = '';
    let least = Number.POSITIVE_INFINITY;
    for (const [other, times] of this.#counts) {
      if (times >= least) continue;
      [smallest, least] = [other, times];
      if (least === 1) break;
    }
    this.#counts.delete(smallest);
    this.#counts.set(key, least + 1);
  }

  #halve(): void {
    this.#total = 0;
    for (const [key, times] of this.#counts) {
      const half = times >>> 1;
      if (half === 0) this.#counts.delete(key);
      else {
        this.#counts.set(key, half);
        this.#total += half;
      }
    }
  }
}
