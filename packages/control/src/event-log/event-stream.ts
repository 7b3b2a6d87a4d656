/**
 * The event log as it grows, for those who follow it. Everybody reads the log itself from where they are, when they can take
 * more, so nothing is kept for slow ones; what is shared is one look at how far the log goes.
 *
 * Ids rise in the order in which events can be seen: whichever database it is, one connection writes.
 */
import type { Database } from '../database/connect.ts';
import { type ClusterEvent, lastEventId, listEvents } from './event-log.ts';

export interface NumberedEvent {
  readonly id: number;
  readonly event: ClusterEvent;
}

export interface EventStream {
  /** The id of the newest event, 0 when there is none. */
  head(): Promise<number>;
  /** The id behind which the events of `[fromMs, …]` come. */
  before(fromMs: number): Promise<number>;
  /**
   * The events after that id, oldest first, up to a hundred. Waits for one for up to `waitMs`, or until `signal` fires;
   * empty then, and when the stream was stopped.
   */
  next(afterId: number, waitMs: number, signal: AbortSignal): Promise<NumberedEvent[]>;
  readonly stopped: boolean;
  /** Ends every wait. */
  stop(): void;
}

const lookEveryMs = 250;
const mostAtOnce = 100;
const everMs = Number.MAX_SAFE_INTEGER;

export function eventStream(database: Database, onProblem: (error: Error) => void): EventStream {
  const waiting = new Set<(head: number) => void>();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  /** Looks as long as somebody waits. */
  function look(): void {
    timer = undefined;
    lastEventId(database)
      .then((head) => {
        for (const tell of waiting) tell(head);
      })
      .catch(onProblem)
      .finally(() => {
        if (waiting.size > 0 && !stopped) timer ??= setTimeout(look, lookEveryMs);
      });
  }

  const read = (afterId: number) =>
    listEvents(database, { fromMs: 0, toMs: everMs, afterId, limit: mostAtOnce });

  return {
    head: () => lastEventId(database),
    async before(fromMs) {
      const [first] = await listEvents(database, { fromMs, toMs: everMs, afterId: 0, limit: 1 });
      return first === undefined ? lastEventId(database) : first.id - 1;
    },
    async next(afterId, waitMs, signal) {
      const found = await read(afterId);
      if (found.length > 0 || stopped || signal.aborted) return found;
      const grown = await new Promise<boolean>((resolve) => {
        const end = (result: boolean) => {
          waiting.delete(tell);
          clearTimeout(ending);
          signal.removeEventListener('abort', stop);
          resolve(result);
        };
        const tell = (head: number) => {
          if (head > afterId || stopped) end(head > afterId);
        };
        const stop = () => end(false);
        const ending = setTimeout(stop, waitMs);
        signal.addEventListener('abort', stop, { once: true });
        waiting.add(tell);
        timer ??= setTimeout(look, lookEveryMs);
      });
      return grown ? read(afterId) : [];
    },
    get stopped() {
      return stopped;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      for (const tell of [...waiting]) tell(-1);
    },
  };
}
