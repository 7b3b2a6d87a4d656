/** Work that is done once a second by the clock, and never twice at a time. */
import type { Logger } from '../reconciler/logger.ts';

const secondMs = 1_000;

export interface EverySecond {
  /** Resolves when what is being done is. */
  stop(): Promise<void>;
}

/** What fails is logged, once until it goes well again, and tried at the next second. */
export function everySecond(work: () => Promise<void>, logger: Logger, failed: string): EverySecond {
  let running: Promise<void> | undefined;
  let failing = false;
  const timer = setInterval(() => {
    running ??= work()
      .then(
        () => {
          failing = false;
        },
        (error: Error) => {
          if (!failing) logger.error({ error }, failed);
          failing = true;
        },
      )
      .finally(() => {
        running = undefined;
      });
  }, secondMs);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
