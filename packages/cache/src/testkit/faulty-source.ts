/** Faults around any source of changes: events that come late, answers that are late or fail. */
import type { ChangeSink, ChangeSource, Horizon } from '../feed/source.ts';

export interface SourceFaults {
  /** Time in ms before an event is handed over, in order, and before the database's answers. Default 0. */
  readonly delayMs?: (what: 'event' | 'answer') => number;
  /** Asked for each question to the database: does it fail? */
  readonly fails?: (question: 'horizon' | 'barrier') => boolean;
  /** Rewrites what the database says new readers see. */
  readonly rewrite?: (horizon: Horizon) => Horizon;
}

export interface FaultySource extends ChangeSource {
  /** The process that consumes is gone: it hears nothing any more, and what it says goes nowhere. */
  kill(): void;
}

export function faultySource(inner: ChangeSource, faults: SourceFaults = {}): FaultySource {
  let dead = false;
  let queue: (() => void)[] = [];
  let busy = false;

  function next(): void {
    const event = queue.shift();
    if (event === undefined) {
      busy = false;
      return;
    }
    busy = true;
    const deliver = (): void => {
      if (!dead) event();
      next();
    };
    const delayMs = faults.delayMs?.('event') ?? 0;
    if (delayMs > 0) setTimeout(deliver, delayMs);
    else deliver();
  }

  function later(event: () => void): void {
    queue.push(event);
    if (!busy) next();
  }

  async function ask<T>(question: 'horizon' | 'barrier', answer: () => Promise<T>): Promise<T> {
    await pause(faults.delayMs?.('answer') ?? 0);
    if (dead || faults.fails?.(question) === true) throw new Error('The database does not answer.');
    const given = await answer();
    await pause(faults.delayMs?.('answer') ?? 0);
    return given;
  }

  function delayed(sink: ChangeSink): ChangeSink {
    return {
      resumed: (from) => {
        // A new stream: what the old one still had under way never comes.
        queue = [];
        later(() => sink.resumed(from));
      },
      begin: (transaction) => later(() => sink.begin(transaction)),
      change: (change) => later(() => sink.change(change)),
      truncated: (tables) => later(() => sink.truncated(tables)),
      commit: (position, atMs) => later(() => sink.commit(position, atMs)),
      progress: (position) => later(() => sink.progress(position)),
      state: (state, cause) => later(() => sink.state(state, cause)),
    };
  }

  return {
    name: inner.name,
    start: (tables, sink) => inner.start(tables, delayed(sink)),
    horizon: async () => {
      const horizon = await ask('horizon', () => inner.horizon());
      return faults.rewrite?.(horizon) ?? horizon;
    },
    barrier: () => ask('barrier', () => inner.barrier()),
    requestProgress: () => {
      if (!dead) inner.requestProgress();
    },
    acknowledge: (position) => {
      if (!dead) inner.acknowledge(position);
    },
    ...(inner.hold === undefined ? {} : { hold: (held: boolean) => inner.hold?.(held) }),
    stop: () => inner.stop(),
    kill: () => {
      dead = true;
      queue = [];
      inner.stop().catch(() => {});
    },
  };
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
