/** The sale's end of the load generator's process. */
import type { ScenarioProcess } from '../scenario/child-process.ts';
import type {
  BurstOrder,
  BurstResult,
  FromGenerator,
  SaleOrder,
  SaleTotals,
  Tick,
  ToGenerator,
} from './generator-messages.ts';

export interface RunningLoad {
  /** Clock time at which the warm-up ended. */
  readonly measuring: Promise<number>;
  readonly ended: Promise<SaleTotals>;
  stop(): void;
}

export interface LoadGenerator {
  /** One sale or burst at a time. */
  startSale(order: SaleOrder, onTick: (tick: Tick) => void): RunningLoad;
  burst(order: BurstOrder): Promise<BurstResult>;
}

export function loadGenerator(process: ScenarioProcess): LoadGenerator {
  let listener: (message: FromGenerator) => void = () => {};
  process.onMessage((message) => listener(message as FromGenerator));
  const send = (message: ToGenerator): void => process.send(message);
  const died = process.diedUnexpectedly.then((why) => Promise.reject(new Error(why)));
  // Whoever waits sees the rejection; nobody may be waiting.
  died.catch(() => {});

  return {
    startSale(sale, onTick) {
      let started: (atMs: number) => void = () => {};
      let finished: (totals: SaleTotals) => void = () => {};
      const measuring = new Promise<number>((resolve) => {
        started = resolve;
      });
      const ended = new Promise<SaleTotals>((resolve) => {
        finished = resolve;
      });
      listener = (message) => {
        if (message.type === 'tick') onTick(message.tick);
        else if (message.type === 'measuring') started(message.atMs);
        else if (message.type === 'sale-ended') finished(message.totals);
      };
      send({ type: 'sale', sale });
      return {
        measuring: Promise.race([measuring, died]),
        ended: Promise.race([ended, died]),
        stop: () => send({ type: 'stop' }),
      };
    },
    burst(burst) {
      const ended = new Promise<BurstResult>((resolve) => {
        listener = (message) => {
          if (message.type === 'burst-ended') resolve(message.result);
        };
      });
      send({ type: 'burst', burst });
      return Promise.race([ended, died]);
    },
  };
}
