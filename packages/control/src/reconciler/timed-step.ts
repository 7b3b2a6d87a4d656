/** What passes do, with how long it took, for those who trace them. A step need not know which pass it is of. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface TimedStep {
  readonly kind: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly failed: boolean;
}

const current = new AsyncLocalStorage<TimedStep[]>();

/** Steps that `work` takes are put into `steps`. */
export function withSteps<T>(steps: TimedStep[], work: () => Promise<T>): Promise<T> {
  return current.run(steps, work);
}

/** Rejects as `work` does. Outside of a pass it is just done. */
export async function timedStep<T>(kind: string, work: () => Promise<T>): Promise<T> {
  const startedAtMs = Date.now();
  const began = performance.now();
  let failed = true;
  try {
    const result = await work();
    failed = false;
    return result;
  } finally {
    current.getStore()?.push({ kind, startedAtMs, durationMs: performance.now() - began, failed });
  }
}
