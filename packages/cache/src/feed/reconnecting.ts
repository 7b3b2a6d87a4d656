/** What all sources share: connect, stream until it ends, connect again; refuse a wrong set-up at the start only. */
import { FeedConfigError } from '../errors.ts';
import type { SourceState } from './source.ts';

const firstRetryMs = 20;
const lastRetryMs = 1_000;

/**
 * One connection, from its making to its end; rejects with what ended it. `onStreaming` when changes flow,
 * `onStandby` when another consumer has them (as often as it is noticed).
 */
export type StreamOnce = (onStreaming: () => void, onStandby: (cause?: Error) => void) => Promise<void>;

export class Reconnecting {
  readonly #once: StreamOnce;
  #stopped = false;
  #running: Promise<void> | undefined;
  #wake: () => void = () => {};

  constructor(once: StreamOnce) {
    this.#once = once;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves when the loop has ended. */
  get ended(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Resolves when it streams or stands by; rejects with the first FeedConfigError, and has then ended. */
  start(onState: (state: SourceState, cause?: Error) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#running = this.#run(onState, resolve, reject);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  async #run(
    onState: (state: SourceState, cause?: Error) => void,
    settled: () => void,
    refused: (error: unknown) => void,
  ): Promise<void> {
    let first = true;
    let retryMs = firstRetryMs;
    let last: SourceState = 'stopped';
    const say = (state: SourceState, cause?: Error): void => {
      // Whoever stands by tries again and again; that is no news.
      if (last === 'standby' && cause === undefined && state !== 'stopped') return;
      last = state;
      onState(state, cause);
    };
    while (!this.#stopped) {
      let cause: Error | undefined;
      say('connecting');
      try {
        await this.#once(
          () => {
            first = false;
            retryMs = firstRetryMs;
            last = 'streaming';
            settled();
          },
          (why) => {
            first = false;
            retryMs = firstRetryMs;
            if (last !== 'standby') say('standby', why);
            settled();
          },
        );
      } catch (error) {
        cause = error as Error;
        if (error instanceof FeedConfigError && first) {
          this.#stopped = true;
          say('stopped', error);
          refused(error);
          return;
        }
      }
      if (this.#stopped) break;
      say('connecting', cause);
      await this.#pause(retryMs);
      retryMs = Math.min(lastRetryMs, retryMs * 2);
    }
    settled();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
