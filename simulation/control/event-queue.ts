/** Virtual time: what is to happen, in the order in which it happens. */

export interface Scheduled {
  readonly atMs: number;
  /** Of two for the same moment the one that was scheduled first happens first. */
  readonly order: number;
  /** Undefined once it was called off. */
  run: (() => void) | undefined;
}

export class EventQueue {
  nowMs = 0;
  /** Events that have happened. */
  steps = 0;
  #order = 0;
  readonly #heap: Scheduled[] = [];

  after(delayMs: number, run: () => void): Scheduled {
    this.#order += 1;
    const scheduled = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order, run };
    this.#push(scheduled);
    return scheduled;
  }

  callOff(scheduled: Scheduled | undefined): void {
    if (scheduled !== undefined) scheduled.run = undefined;
  }

  /** Lets the next event happen. @returns false when there is none, or none before `untilMs`. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.#pop();
      if (next.run === undefined) continue;
      this.nowMs = next.atMs;
      this.steps += 1;
      next.run();
      return true;
    }
  }

  #push(scheduled: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(scheduled);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(scheduled, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = scheduled;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
