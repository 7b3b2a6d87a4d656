/** A process that misses, loads and fills, once. What its token is and whether the fill is accepted, protocols say. */

export interface Filler {
  /** 0 idle, 1 has its token, 2 has loaded, 3 done */
  phase: number;
  /** Up to four numbers; each protocol says which. */
  token: number[];
  value: number;
}

/** No entry. */
export const none = -1;

export function idleFillers(count: number): Filler[] {
  return Array.from({ length: count }, () => ({ phase: 0, token: [], value: none }));
}

/** One who is done is like any other who is done: forgetting what it knew merges states. */
export function retire(filler: Filler): void {
  filler.phase = 3;
  filler.token = [];
  filler.value = none;
}

export function nameOf(index: number): string {
  return `filler ${'AB'[index] ?? String(index)}`;
}
