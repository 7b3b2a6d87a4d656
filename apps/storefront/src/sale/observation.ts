/** One product page as a buyer got it. Packed into numbers on its way between processes. */

export interface Observation {
  readonly productId: number;
  readonly priceCents: number;
  readonly stock: number;
  /** Clock times in milliseconds since 1970, when the request left and when the whole answer was here. */
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
}

export const observationWidth = 5;

export function packObservations(observations: readonly Observation[]): Float64Array {
  const packed = new Float64Array(observations.length * observationWidth);
  for (const [index, one] of observations.entries()) {
    packed.set(
      [one.productId, one.priceCents, one.stock, one.sentAtMs, one.receivedAtMs],
      index * observationWidth,
    );
  }
  return packed;
}

export function* unpackObservations(packed: Float64Array): Generator<Observation> {
  for (let at = 0; at + observationWidth <= packed.length; at += observationWidth) {
    yield {
      productId: packed[at]!,
      priceCents: packed[at + 1]!,
      stock: packed[at + 2]!,
      sentAtMs: packed[at + 3]!,
      receivedAtMs: packed[at + 4]!,
    };
  }
}
