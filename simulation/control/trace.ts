/** What happened in a run: counted always, told as a story only where somebody reads it. */
import type { EventQueue } from './event-queue.ts';

export class Trace {
  readonly counts: Record<string, number> = {};
  readonly story: string[] = [];
  readonly #queue: EventQueue;
  readonly #tells: boolean;

  constructor(queue: EventQueue, tells: boolean) {
    this.#queue = queue;
    this.#tells = tells;
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  tell(text: () => string): void {
    if (this.#tells) this.story.push(`${this.#queue.nowMs.toFixed(1).padStart(9)} ms  ${text()}`);
  }
}
