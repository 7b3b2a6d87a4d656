/**
 * How often keys were seen lately, roughly and in little memory: four rows of 4-bit counters, of which the least
 * counts (Cormode and Muthukrishnan's count-min sketch), halved after a while so that it forgets (Einziger,
 * Friedman and Manes, "TinyLFU", 2017). Pure but for its own counters.
 */

const rows = 4;
const largest = 15;

export class FrequencySketch {
  readonly #counters: Uint8Array;
  readonly #mask: number;
  readonly #sample: number;
  #additions = 0;

  /** @param width counters a row, a power of two: about as many as there are keys worth telling apart. */
  constructor(width: number) {
    this.#counters = new Uint8Array(rows * width);
    this.#mask = width - 1;
    this.#sample = width * 8;
  }

  /** Counts one sight of the key. @returns how often it was seen before, 0 to 15. */
  add(hash: number): number {
    const before = this.count(hash);
    if (before < largest) {
      for (let row = 0; row < rows; row += 1) {
        const at = this.#at(row, hash);
        if (this.#counters[at]! === before) this.#counters[at] = before + 1;
      }
    }
    this.#additions += 1;
    if (this.#additions === this.#sample) this.#age();
    return before;
  }

  count(hash: number): number {
    let least = largest;
    for (let row = 0; row < rows; row += 1) least = Math.min(least, this.#counters[this.#at(row, hash)]!);
    return least;
  }

  #at(row: number, hash: number): number {
    const mixed = Math.imul(hash ^ (hash >>> 15), 0x9e3779b1 + (row << 8) * 2 + 1);
    return row * (this.#mask + 1) + ((mixed ^ (mixed >>> 13)) & this.#mask);
  }

  #age(): void {
    this.#additions = 0;
    for (let at = 0; at < this.#counters.length; at += 1) this.#counters[at] = this.#counters[at]! >>> 1;
  }
}
