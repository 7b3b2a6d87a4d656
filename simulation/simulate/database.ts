/**
 * A database of three tables, see plan.ts. A transaction's commit record and its visibility are two moments; a row is
 * locked from its change until it is visible.
 */
import { MemorySource, type RowChange } from '@larder/cache/testkit';
import { type History, type Item, type List, rowOf } from './history.ts';
import { groupCount, keyCount, memberCount, type RowWrite, type Write } from './plan.ts';

interface Row {
  readonly version: number;
  readonly group: number | undefined;
}

export class Database {
  readonly source: MemorySource;
  readonly #history: History;
  readonly #nowMs: () => number;
  readonly #visible = new Map<string, Row>();
  readonly #newest = new Map<string, Row>();
  readonly #byNumber: boolean;
  readonly #locked = new Map<string, Promise<void>>();

  /** @param byNumber a commit's position in the history is the number of its transaction. */
  constructor(history: History, nowMs: () => number, byNumber: boolean) {
    this.#byNumber = byNumber;
    this.#history = history;
    this.#nowMs = nowMs;
    this.source = new MemorySource({ nowMs });
    for (let key = 0; key < keyCount; key += 1) {
      for (const table of ['left', 'right'] as const) this.#put(rowOf(table, key), undefined);
    }
    for (let key = 0; key < memberCount; key += 1) this.#put(rowOf('member', key), key % groupCount);
  }

  /** What a reader that begins now sees. */
  item(key: number): Item {
    const version = (table: 'left' | 'right'): number => this.#visible.get(rowOf(table, key))!.version;
    return { key, left: version('left'), right: version('right') };
  }

  list(group: number): List {
    const members: Record<string, number> = {};
    for (let key = 0; key < memberCount; key += 1) {
      const row = this.#visible.get(rowOf('member', key))!;
      if (row.group === group) members[key] = row.version;
    }
    return { group, members };
  }

  /**
   * Resolves when the commit has returned.
   * @param deliver hands over the events that the changes cause; the change counts as ended when it has resolved, too.
   */
  async write(
    { rows, truncates, logMs, showMs, event }: Write,
    log: (text: string) => void,
    deliver: (changes: readonly RowChange[]) => Promise<void>,
  ): Promise<void> {
    const unlock = await this.#lock(rows.map(({ table, key }) => rowOf(table, key)));
    const written = rows.map((row) => this.#begin(row));
    const transaction =
      truncates === undefined
        ? this.source.prepare(written.map(({ change }) => change))
        : this.source.prepare([], [`public.${truncates}`]);
    const names = written.map(({ name, row }) => `${name} ${row.version}`).join(', ');
    const what = truncates === undefined ? names : `TRUNCATE of ${names}`;
    if (this.#byNumber) {
      for (const { name, row } of written) this.#history.wrote(name, row.version, transaction.number);
    }
    const changes =
      truncates === undefined
        ? written.map(({ change }) => change)
        : [{ table: `public.${truncates}`, before: undefined, after: undefined, identified: false }];
    const early = event.beforeCommit ? deliver(changes) : undefined;
    const logged = later(logMs, () => {
      // Known before it is streamed: the consumer may apply it at once.
      const position = this.source.position + 100n;
      if (!this.#byNumber) {
        for (const { name, row } of written) this.#history.wrote(name, row.version, position);
      }
      log(`database: the commit record of ${what} enters the log`);
      transaction.log();
    });
    const shown = later(showMs, () => {
      log(`database: ${what} becomes visible`);
      for (const { name, row } of written) this.#visible.set(name, row);
      transaction.show();
      unlock();
    });
    await Promise.all([logged, shown]);
    await (early ?? deliver(changes));
    for (const { name, row } of written) this.#history.ended(name, row.version, this.#nowMs());
  }

  #put(name: string, group: number | undefined): void {
    this.#history.began(name, 1, group);
    this.#visible.set(name, { version: 1, group });
    this.#newest.set(name, { version: 1, group });
  }

  #begin({ table, key, group }: RowWrite): { readonly name: string; row: Row; change: RowChange } {
    const name = rowOf(table, key);
    const before = this.#newest.get(name)!;
    const row = { version: before.version + 1, group };
    this.#newest.set(name, row);
    this.#history.began(name, row.version, group);
    const image = ({ group: inGroup }: Row) => ({
      id: String(key),
      ...(inGroup === undefined ? {} : { group: String(inGroup) }),
    });
    const change = {
      table: `public.${table}`,
      before: table === 'member' ? image(before) : undefined,
      after: image(row),
      identified: true,
    };
    return { name, row, change };
  }

  /** In one order everywhere, so that nobody waits for ever. */
  async #lock(names: readonly string[]): Promise<() => void> {
    let unlock = (): void => {};
    const locked = new Promise<void>((resolve) => {
      unlock = resolve;
    });
    for (const name of [...names].sort()) {
      while (this.#locked.has(name)) await this.#locked.get(name);
      this.#locked.set(name, locked);
    }
    return () => {
      for (const name of names) this.#locked.delete(name);
      unlock();
    };
  }
}

function later(ms: number, step: () => void): Promise<void> {
  return new Promise((resolve) =>
    setTimeout(() => {
      step();
      resolve();
    }, ms),
  );
}
