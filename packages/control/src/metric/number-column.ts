/**
 * (pure) Columns of numbers as few bytes. Numbers with at most four decimals are kept as whole numbers, each by its
 * difference to the one before, and runs of equal ones by their length: what does not change costs next to nothing.
 * Others are kept as they are, in eight bytes.
 */

const decimalsAtMost = 4;
const asTheyAre = 15;
/** So that twice the difference of two of them is still exact. */
const largestWhole = 2 ** 51;

export interface ByteWriter {
  whole(value: number): void;
  column(values: readonly number[]): void;
  bytes(): Uint8Array;
}

export function byteWriter(): ByteWriter {
  let buffer = Buffer.allocUnsafe(256);
  let length = 0;

  function room(count: number): void {
    if (length + count <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, length + count));
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
  }

  /** Seven bits a byte, the lowest first. */
  function whole(value: number): void {
    room(8);
    let rest = value;
    while (rest >= 0x80) {
      buffer[length++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    buffer[length++] = rest;
  }

  return {
    whole,
    column(values) {
      const decimals = decimalsOf(values);
      if (decimals === undefined) {
        whole(asTheyAre);
        room(values.length * 8);
        for (const value of values) length = buffer.writeDoubleLE(value, length);
        return;
      }
      whole(decimals);
      const scale = 10 ** decimals;
      let before = 0;
      let equal = 0;
      for (const value of values) {
        const now = Math.round(value * scale);
        const change = now - before;
        before = now;
        if (change === 0) {
          equal += 1;
          continue;
        }
        if (equal > 0) run(equal);
        equal = 0;
        whole(change > 0 ? change * 2 : -change * 2 - 1);
      }
      if (equal > 0) run(equal);
    },
    bytes: () => buffer.subarray(0, length),
  };

  function run(count: number): void {
    whole(0);
    whole(count);
  }
}

/** Undefined: more decimals than are kept as whole numbers. */
function decimalsOf(values: readonly number[]): number | undefined {
  let decimals = 0;
  for (const value of values) {
    while (Math.round(value * 10 ** decimals) / 10 ** decimals !== value) {
      decimals += 1;
      if (decimals > decimalsAtMost) return undefined;
    }
  }
  const largest = largestWhole / 10 ** decimals;
  return values.every((value) => Math.abs(value) <= largest) ? decimals : undefined;
}

export interface ByteReader {
  whole(): number;
  /** @param count how many were written. */
  column(count: number): number[];
}

/** @throws RangeError for bytes that end too soon. */
export function byteReader(bytes: Uint8Array | ArrayBuffer): ByteReader {
  const buffer = Buffer.from(bytes as Uint8Array);
  let at = 0;

  function whole(): number {
    let value = 0;
    let weight = 1;
    for (;;) {
      const byte = buffer[at++];
      if (byte === undefined) throw new RangeError('A block of metric data ends too soon.');
      value += (byte & 0x7f) * weight;
      if (byte < 0x80) return value;
      weight *= 0x80;
    }
  }

  return {
    whole,
    column(count) {
      const decimals = whole();
      const values: number[] = [];
      if (decimals === asTheyAre) {
        for (; values.length < count; at += 8) values.push(buffer.readDoubleLE(at));
        return values;
      }
      const scale = 10 ** decimals;
      let now = 0;
      while (values.length < count) {
        const coded = whole();
        if (coded !== 0) {
          now += coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2;
          values.push(now / scale);
          continue;
        }
        const value = now / scale;
        for (let left = whole(); left > 0; left -= 1) values.push(value);
      }
      return values;
    },
  };
}
