/**
 * Runs one pass at a time per resource, at every wake-up and now and then without one. It knows nothing of
 * caches.
 *
 * A wake-up carries no message: whatever woke it, a pass looks afresh at what is asked and what is true. So a
 * restart after a crash is an ordinary pass, and a lost wake-up only costs time.
 */
import type { Logger } from './logger.ts';
import { type TimedStep, withSteps } from './timed-step.ts';

export type PassOutcome =
  /** Something was done, or is under way: look again now. */
  | 'again'
  /** Something outside is expected to happen, of which nobody tells us. */
  | 'waiting'
  /** Nothing to do until something changes. */
  | 'settled'
  /** The resource is gone; forget it. */
  | 'gone';

export interface ReconcilerOptions {
  readonly name: string;
  /** One pass. Throws to be called again after a growing delay. */
  readonly reconcile: (id: string) => Promise<PassOutcome>;
  /** How long a settled resource stays unlooked-at. */
  readonly periodMs: number;
  /** Told of each pass, how it ended and how long it took. */
  readonly onPass?: ((pass: EndedPass) => void) | undefined;
  readonly logger: Logger;
}

export interface EndedPass {
  readonly reconciler: string;
  readonly id: string;
  readonly outcome: PassOutcome | 'failed';
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** What it did, in order. */
  readonly steps: readonly TimedStep[];
}

export interface Reconciler {
  /** Looks at the resource soon; at once when no pass runs. */
  wake(id: string): void;
  /** Begins no more passes; resolves when those running have ended. */
  stop(): Promise<void>;
}

const firstDelayMs = 5;
const longestDelayMs = 2_000;
/** Between two passes that both did something, so that a step without effect can't spin. */
const againDelayMs = 2;
// What is waited for mostly comes soon; looking closely for long would only take time from the engines.
const firstWaitMs = 25;
const longestWaitMs = 400;

interface Task {
  running: Promise<void> | undefined;
  wanted: boolean;
  failures: number;
  /** Passes in a row that only waited. */
  waits: number;
  timer: NodeJS.Timeout | undefined;
}

export function reconciler(options: ReconcilerOptions): Reconciler {
  const tasks = new Map<string, Task>();
  let stopped = false;

  function wake(id: string): void {
    if (stopped) return;
    let task = tasks.get(id);
    if (task === undefined) {
      task = { running: undefined, wanted: false, failures: 0, waits: 0, timer: undefined };
      tasks.set(id, task);
    }
    if (task.running !== undefined) {
      task.wanted = true;
      return;
    }
    clearTimeout(task.timer);
    task.running = pass(id, task);
  }

  async function pass(id: string, task: Task): Promise<void> {
    task.wanted = false;
    let delayMs = options.periodMs;
    let ended: EndedPass['outcome'] = 'failed';
    const startedAtMs = Date.now();
    const steps: TimedStep[] = [];
    const began = performance.now();
    try {
      const outcome = await withSteps(steps, () => options.reconcile(id));
      ended = outcome;
      task.failures = 0;
      if (outcome === 'gone' && !task.wanted) {
        tasks.delete(id);
        return;
      }
      if (outcome === 'again') delayMs = againDelayMs;
      task.waits = outcome === 'waiting' ? task.waits + 1 : 0;
      if (outcome === 'waiting')
        delayMs = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.floor(task.waits / 8));
    } catch (error) {
      delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** task.failures);
      task.failures += 1;
      options.logger.warn(
        { reconciler: options.name, id, failures: task.failures, error },
        `A pass over ${id} failed; the next one is in ${delayMs} ms.`,
      );
    } finally {
      task.running = undefined;
      const durationMs = performance.now() - began;
      options.onPass?.({ reconciler: options.name, id, outcome: ended, startedAtMs, durationMs, steps });
    }
    if (stopped) return;
    if (task.wanted) return wake(id);
    task.timer = setTimeout(() => wake(id), delayMs);
  }

  return {
    wake,
    async stop() {
      stopped = true;
      for (const task of tasks.values()) clearTimeout(task.timer);
      await Promise.all([...tasks.values()].map((task) => task.running));
    },
  };
}
