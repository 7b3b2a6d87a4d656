/**
 * One life of the service. When it is over, nothing it waits for comes any more: its work stops between two effects,
 * as that of a killed process does.
 */
import type { Clock } from '@larder/control/reconciler/clock';
import type { EventQueue } from './event-queue.ts';

export class Life {
  over = false;
  /** The process is stopped until then: what it waits for is there, and it does not come to it. */
  stalledUntilMs = 0;
  /** The process is killed right before or right after it has begun so many more effects. */
  diesIn: { effects: number; readonly before: boolean } | undefined;
  onDeath: () => void = () => {};
  readonly #endings: (() => void)[] = [];
  readonly clock: Clock;
  readonly #queue: EventQueue;
  readonly #touched: () => void;

  /** Rises from life to life: a later one leads. */
  readonly number: number;

  constructor(queue: EventQueue, number: number, clockRate: number, touched: () => void) {
    this.number = number;
    this.#queue = queue;
    this.#touched = touched;
    this.clock = {
      nowMs: () => queue.nowMs * clockRate,
      sleep: (ms) => this.promise((done) => queue.after(ms / clockRate, () => done(undefined))),
    };
  }

  /** @param begin is given what settles the promise, by a result or an error. */
  promise<T>(begin: (done: (result: T | Error) => void) => void): Promise<T> {
    const last = this.diesIn !== undefined && --this.diesIn.effects <= 0;
    if (last && this.diesIn!.before) this.onDeath();
    return new Promise<T>((resolve, reject) => {
      if (this.over) return;
      begin((result) =>
        this.attend(() => {
          this.#touched();
          if (result instanceof Error) reject(result);
          else resolve(result);
        }),
      );
      if (last) this.onDeath();
    });
  }

  atEnd(run: () => void): void {
    this.#endings.push(run);
  }

  end(): void {
    this.over = true;
    for (const run of this.#endings) run();
  }

  /** Does it now, or when the stall ends, or never. */
  attend(run: () => void): void {
    if (this.over) return;
    if (this.stalledUntilMs <= this.#queue.nowMs) {
      run();
      return;
    }
    this.#queue.after(this.stalledUntilMs - this.#queue.nowMs, () => this.attend(run));
  }
}
