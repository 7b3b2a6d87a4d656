/** A source of changes that a test plays by hand: commits, their visibility, and stalls. */
import type { WatchedRow } from '../definition.ts';
import type { ChangeSink, ChangeSource, Horizon, SourceTable } from '../feed/source.ts';

export class ManualSource implements ChangeSource {
  readonly name = 'manual';
  readonly history: string;
  position: bigint;
  acknowledged = 0n;
  tables: readonly SourceTable[] = [];
  #sink: ChangeSink | undefined;
  #transaction = 100n;
  readonly #invisible = new Set<bigint>();
  #stalled = false;
  #withheld: (() => void)[] | undefined;

  constructor({ position = 1_000n, history = 'manual' }: { position?: bigint; history?: string } = {}) {
    this.position = position;
    this.history = history;
  }

  async start(tables: readonly SourceTable[], sink: ChangeSink): Promise<void> {
    this.tables = tables;
    this.#sink = sink;
    this.resume({ fresh: true });
    sink.state('streaming');
  }

  resume({ fresh, position = this.position }: { readonly fresh: boolean; readonly position?: bigint }): void {
    this.#sink!.resumed({ position, fresh, history: this.history });
  }

  /** A commit; `visible: false` until `reveal`. Returns its transaction. */
  commit(
    table: string,
    row: WatchedRow,
    { visible = true }: { readonly visible?: boolean } = {},
  ): { readonly transaction: bigint; readonly position: bigint } {
    const transaction = this.#transaction++;
    if (!visible) this.#invisible.add(transaction);
    this.position += 100n;
    const { position } = this;
    const deliver = (): void => {
      const sink = this.#sink!;
      sink.begin(transaction);
      sink.change({ table, before: undefined, after: row, identified: true });
      sink.commit(position, Date.now());
    };
    if (this.#withheld === undefined) deliver();
    else this.#withheld.push(deliver);
    return { transaction, position };
  }

  truncate(table: string): void {
    this.position += 100n;
    this.#sink!.begin(this.#transaction++);
    this.#sink!.truncated([table]);
    this.#sink!.commit(this.position, Date.now());
  }

  reveal(transaction: bigint): void {
    this.#invisible.delete(transaction);
  }

  /** While withheld, commits happen but the stream doesn't bring them; the database answers as ever. */
  withhold(withheld: boolean): void {
    const late = this.#withheld ?? [];
    this.#withheld = withheld ? [] : undefined;
    for (const deliver of late) deliver();
  }

  /** While stalled the database answers nothing, as if the consumer were stopped. */
  stall(stalled: boolean): void {
    this.#stalled = stalled;
  }

  async horizon(): Promise<Horizon> {
    if (this.#stalled) throw new Error('Stalled.');
    const invisible = new Set(this.#invisible);
    return {
      position: this.position,
      isVisible: (transaction) => !invisible.has(transaction),
      isPast: (transaction) => [...invisible].every((other) => other >= transaction),
    };
  }

  async barrier(): Promise<bigint> {
    return this.#transaction++;
  }

  requestProgress(): void {
    if (!this.#stalled && this.#withheld === undefined) this.#sink!.progress(this.position);
  }

  acknowledge(position: bigint): void {
    this.acknowledged = position;
  }

  async stop(): Promise<void> {}
}
