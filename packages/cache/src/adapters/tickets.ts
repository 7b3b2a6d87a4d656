/**
 * For frameworks that ask for a value and bring one later without saying which question it answers: the oldest
 * ticket among the questions that are still open is right for all of them.
 */
import type { Clock } from '../clock.ts';
import type { Ticket } from './generation-entries.ts';

interface OpenQuestions {
  readonly ticket: Ticket;
  readonly atMs: number;
  count: number;
}

const maxKeys = 10_000;

export class Tickets {
  readonly #open = new Map<string, OpenQuestions>();
  readonly #clock: Clock;
  readonly #makingMs: number;

  /** @param makingMs a value that takes longer to make may be given a ticket that is too new. */
  constructor(clock: Clock, makingMs: number) {
    this.#clock = clock;
    this.#makingMs = makingMs;
  }

  /** Somebody may make a value from now on. */
  ask(key: string, ticket: Ticket): void {
    const now = this.#clock.nowMs();
    const open = this.#open.get(key);
    if (open !== undefined && now - open.atMs <= this.#makingMs) {
      open.count += 1;
      return;
    }
    this.#open.delete(key);
    this.#open.set(key, { ticket, atMs: now, count: 1 });
    // A value without a ticket isn't kept.
    if (this.#open.size > maxKeys) this.#open.delete(this.#open.keys().next().value as string);
  }

  /** For a value that is brought. Undefined: it must not be kept. */
  answer(key: string): Ticket | undefined {
    const open = this.#open.get(key);
    if (open === undefined) return undefined;
    open.count -= 1;
    if (open.count === 0) this.#open.delete(key);
    return open.ticket;
  }
}
