/**
 * Bounds what this process asks of the database at one time. When the shared tier is down every miss of every
 * process ends here, and the database must not notice more than `maxConcurrent` loads per process.
 */
import type { Clock } from './clock.ts';
import { LoadQueueError, LoadTimeoutError } from './errors.ts';

export interface LoadLimits {
  readonly maxConcurrent: number;
  /** For one loader run, and for the wait in the queue before it. */
  readonly timeoutMs: number;
  /** Loads that may wait; more are refused at once. */
  readonly maxQueued: number;
}

interface Waiting {
  readonly start: () => void;
  readonly refuse: (error: Error) => void;
  readonly deadlineMs: number;
}

export class LoadGate {
  readonly #limits: LoadLimits;
  readonly #clock: Clock;
  readonly #queue: Waiting[] = [];
  #running = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: LoadLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Runs `task` when a place is free, in order of arrival, with a signal that aborts after `timeoutMs`, which
   * is the gate's own unless another is given.
   * Rejects with LoadQueueError when no place came free in time, with LoadTimeoutError when the task took too
   * long, else with the task's own error. A task that ignores its signal keeps its place until it ends, for at
   * most another `timeoutMs`.
   */
  async run<T>(
    task: (signal: AbortSignal) => Promise<T>,
    timeoutMs: number = this.#limits.timeoutMs,
  ): Promise<T> {
    if (this.#running >= this.#limits.maxConcurrent) await this.#place();
    else this.#running += 1;
    const abort = new AbortController();
    return new Promise<T>((resolve, reject) => {
      let released = false;
      const release = (): void => {
        if (released) return;
        released = true;
        clearTimeout(timer);
        this.#release();
      };
      let timer = setTimeout(() => {
        const error = new LoadTimeoutError(`A loader did not answer within ${timeoutMs} ms.`);
        timer = setTimeout(release, timeoutMs);
        timer.unref();
        reject(error);
        abort.abort(error);
      }, timeoutMs);
      let running: Promise<T>;
      try {
        running = Promise.resolve(task(abort.signal));
      } catch (error) {
        running = Promise.reject(error);
      }
      running.then(resolve, reject).finally(release);
    });
  }

  #place(): Promise<void> {
    const { maxQueued, timeoutMs } = this.#limits;
    if (this.#queue.length >= maxQueued) {
      return Promise.reject(new LoadQueueError(`${maxQueued} loads are waiting already.`));
    }
    return new Promise((start, refuse) => {
      this.#queue.push({ start, refuse, deadlineMs: this.#clock.nowMs() + timeoutMs });
      this.#timer ??= setInterval(() => this.#expire(), Math.max(5, timeoutMs / 20));
      this.#timer.unref();
    });
  }

  #release(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#running -= 1;
    else next.start();
    this.#stopTimer();
  }

  #expire(): void {
    const now = this.#clock.nowMs();
    while (this.#queue.length > 0 && this.#queue[0]!.deadlineMs <= now) {
      const { maxConcurrent, timeoutMs } = this.#limits;
      const message = `All ${maxConcurrent} places for loads stayed taken for ${timeoutMs} ms.`;
      this.#queue.shift()!.refuse(new LoadQueueError(message));
    }
    this.#stopTimer();
  }

  #stopTimer(): void {
    if (this.#queue.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
