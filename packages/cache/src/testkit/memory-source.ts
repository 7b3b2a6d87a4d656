/**
 * A source of changes in memory: a database's log, what new readers see of it, and the stream, each moved by hand.
 *
 * A commit has three moments: its record enters the log, new readers see it, the stream brings it. `commit` does all
 * three at once; `prepare` gives a transaction whose moments you choose, in any order that a database may choose.
 * The source is its own first consumer; `standby()` gives another for the same slot.
 */
import type { Database } from '../database.ts';
import type { WatchedRow } from '../definition.ts';
import type { ChangeSink, ChangeSource, Horizon, RowChange, SourceTable } from '../feed/source.ts';

export interface MemorySourceOptions {
  /** Where the log begins. Default 1000. */
  readonly position?: bigint;
  /** Names the history that positions belong to. Default `memory`. */
  readonly history?: string;
  /** The database's wall clock. Default Date.now. */
  readonly nowMs?: () => number;
}

/** A transaction that was begun. Each step happens once; repeating one changes nothing. */
export interface MemoryTransaction {
  readonly number: bigint;
  /** Its commit record enters the log, and the stream brings it unless it is withheld. Returns its position. */
  log(): bigint;
  /** New readers see it. May come before `log`, as with synchronous_commit=off. */
  show(): void;
  /** It ends without effect; only before `log`. */
  rollBack(): void;
}

interface Record {
  readonly position: bigint;
  readonly transaction: bigint;
  readonly changes: readonly RowChange[];
  readonly truncated: readonly string[];
  readonly atMs: number;
}

const positionStep = 100n;

export class MemorySource implements ChangeSource {
  readonly name = 'memory';
  readonly history: string;
  /** End of the newest commit record. */
  position: bigint;
  /** What the slot was told; a consumer that begins anew gets everything after it. */
  acknowledged: bigint;
  readonly #nowMs: () => number;
  #transaction = 100n;
  readonly #running = new Set<bigint>();
  #log: Record[] = [];
  #stalled = false;
  #withheld = false;
  #slotIsNew = true;
  readonly #consumers: Consumer[] = [];
  readonly #own: Consumer;

  constructor({ position = 1_000n, history = 'memory', nowMs = Date.now }: MemorySourceOptions = {}) {
    this.position = position;
    this.acknowledged = position;
    this.history = history;
    this.#nowMs = nowMs;
    this.#own = this.#consumer();
  }

  // --- the database ---------------------------------------------------------------------------------------

  /**
   * A commit of one inserted or updated row, in the log and the stream at once, and visible unless told otherwise:
   * then `reveal` its transaction.
   */
  commit(
    table: string,
    row: WatchedRow,
    { visible = true }: { readonly visible?: boolean } = {},
  ): { readonly transaction: bigint; readonly position: bigint } {
    const transaction = this.prepare([{ table, before: undefined, after: row, identified: true }]);
    if (visible) transaction.show();
    return { transaction: transaction.number, position: transaction.log() };
  }

  /** Begins a transaction with these changes. */
  prepare(changes: readonly RowChange[], truncated: readonly string[] = []): MemoryTransaction {
    const number = this.#transaction++;
    this.#running.add(number);
    let position: bigint | undefined;
    return {
      number,
      log: () => {
        if (position !== undefined) return position;
        this.position += positionStep;
        position = this.position;
        this.#log.push({ position, transaction: number, changes, truncated, atMs: this.#nowMs() });
        this.#stream();
        return position;
      },
      show: () => this.reveal(number),
      rollBack: () => {
        if (position === undefined) this.#running.delete(number);
      },
    };
  }

  truncate(table: string): void {
    const transaction = this.prepare([], [table]);
    transaction.show();
    transaction.log();
  }

  /** New readers see this transaction from now on. */
  reveal(transaction: bigint): void {
    this.#running.delete(transaction);
  }

  /** While withheld, commits happen but the stream doesn't bring them; the database answers as ever. */
  withhold(withheld: boolean): void {
    this.#withheld = withheld;
    if (!withheld) this.#stream();
  }

  /** While stalled the database answers nothing, as if it hung. */
  stall(stalled: boolean): void {
    this.#stalled = stalled;
  }

  /** The stream breaks: whoever stands by longest takes the slot, or the same consumer comes back to it. */
  breakStream(): void {
    const streaming = this.#consumers.shift();
    if (streaming === undefined) return;
    this.#consumers.push(streaming);
    streaming.sink?.state(this.#consumers.length > 1 ? 'standby' : 'connecting');
    this.#resumeFirst();
  }

  /** For the `database` of a cache. */
  database(): Database {
    const asked = <T>(answer: () => T): Promise<T> =>
      this.#stalled ? Promise.reject(new Error('The database does not answer.')) : Promise.resolve(answer());
    return {
      name: this.history,
      position: () => asked(() => this.position),
      barrier: () => asked(() => this.#transaction++),
      oldestInProgress: () =>
        asked(() =>
          [...this.#running].reduce((oldest, each) => (each < oldest ? each : oldest), this.#transaction),
        ),
    };
  }

  /** Another consumer of the same slot. It stands by while an earlier one streams. */
  standby(): ChangeSource {
    return this.#consumer();
  }

  /** The slot and what it remembered are gone: the next stream begins fresh, at the end of the log. */
  loseSlot(): void {
    this.#slotIsNew = true;
    this.breakStream();
  }

  // --- as a source ----------------------------------------------------------------------------------------

  get tables(): readonly SourceTable[] {
    return this.#own.tables;
  }

  start(tables: readonly SourceTable[], sink: ChangeSink): Promise<void> {
    return this.#own.start(tables, sink);
  }

  horizon(): Promise<Horizon> {
    return this.#own.horizon();
  }

  barrier(): Promise<bigint> {
    return this.#own.barrier();
  }

  requestProgress(): void {
    this.#own.requestProgress();
  }

  acknowledge(position: bigint): void {
    this.#own.acknowledge(position);
  }

  stop(): Promise<void> {
    return this.#own.stop();
  }

  // --- inside ---------------------------------------------------------------------------------------------

  #consumer(): Consumer {
    const consumer: Consumer = {
      name: this.name,
      tables: [],
      sink: undefined,
      sent: 0n,
      start: async (tables, sink) => {
        consumer.tables = tables;
        consumer.sink = sink;
        this.#consumers.push(consumer);
        if (this.#consumers[0] === consumer) this.#resumeFirst();
        else sink.state('standby');
      },
      horizon: async () => {
        if (this.#stalled) throw new Error('The database does not answer.');
        const running = new Set(this.#running);
        const next = this.#transaction;
        return {
          position: this.position,
          isVisible: (transaction) => transaction < next && !running.has(transaction),
          isPast: (transaction) => [...running].every((other) => other >= transaction),
        };
      },
      barrier: async () => {
        if (this.#stalled) throw new Error('The database does not answer.');
        return this.#transaction++;
      },
      requestProgress: () => {
        if (this.#stalled || this.#withheld || this.#consumers[0] !== consumer) return;
        consumer.sink?.progress(this.position);
      },
      acknowledge: (position) => {
        // Only who has the stream is heard.
        if (this.#consumers[0] !== consumer || position <= this.acknowledged) return;
        this.acknowledged = position;
        const kept = this.#log.findIndex((record) => record.position > position);
        this.#log = kept < 0 ? [] : this.#log.slice(kept);
      },
      stop: async () => {
        const streamed = this.#consumers[0] === consumer;
        const at = this.#consumers.indexOf(consumer);
        if (at >= 0) this.#consumers.splice(at, 1);
        consumer.sink = undefined;
        if (streamed) this.#resumeFirst();
      },
    };
    return consumer;
  }

  #resumeFirst(): void {
    const consumer = this.#consumers[0];
    if (consumer === undefined) return;
    const fresh = this.#slotIsNew;
    this.#slotIsNew = false;
    if (fresh) {
      this.acknowledged = this.position;
      this.#log = [];
    }
    consumer.sent = this.acknowledged;
    consumer.sink?.resumed({ position: this.acknowledged, fresh, history: this.history });
    consumer.sink?.state('streaming');
    this.#stream();
  }

  #stream(): void {
    const consumer = this.#consumers[0];
    if (consumer === undefined || this.#withheld) return;
    let first = this.#log.length;
    while (first > 0 && this.#log[first - 1]!.position > consumer.sent) first -= 1;
    for (const record of this.#log.slice(first)) {
      consumer.sent = record.position;
      const { sink } = consumer;
      sink?.begin(record.transaction);
      for (const change of record.changes) sink?.change(change);
      if (record.truncated.length > 0) sink?.truncated(record.truncated);
      sink?.commit(record.position, record.atMs);
    }
  }
}

interface Consumer extends ChangeSource {
  tables: readonly SourceTable[];
  sink: ChangeSink | undefined;
  /** Handed over up to here. */
  sent: bigint;
}
