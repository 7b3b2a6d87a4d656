/** Runs the evaluation of alarms each second, until it is stopped. */
import { type AlarmEvaluator, alarmEvaluator, type EvaluatorDeps } from './evaluate.ts';

export interface AlarmLoop extends Pick<AlarmEvaluator, 'changed'> {
  /** Resolves when the pass that runs has ended. */
  stop(): Promise<void>;
}

const everyMs = 1_000;
/** After the second: what is measured in it is measured at its end. */
const afterSecondMs = 300;

export function alarmLoop(deps: EvaluatorDeps): AlarmLoop {
  const evaluator = alarmEvaluator(deps);
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;

  function plan(): void {
    if (isStopped) return;
    // Aimed at afresh each time, so that the time a pass takes does not add up.
    const waitMs = everyMs - ((deps.nowMs() - afterSecondMs) % everyMs);
    timer = setTimeout(() => {
      running = evaluator
        .pass()
        .catch((error: Error) => deps.logger.error({ error }, 'Alarms could not be evaluated.'))
        .then(plan);
    }, waitMs);
  }
  plan();

  return {
    changed: evaluator.changed,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
