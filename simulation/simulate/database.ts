/**
 * A database of rows behind keys: two tables, `left` and `right`, whose rows together make an item. A transaction's
 * commit record and its visibility are two moments; a row is locked from its change until it is visible.
 */
import { MemorySource } from '@larder/cache/testkit';
import type { History, Item } from './history.ts';
import { keyCount, type Write } from './plan.ts';

export class Database {
  readonly source: MemorySource;
  readonly #history: History;
  readonly #nowMs: () => number;
  readonly #visible = new Map<string, number>();
  readonly #newest = new Map<string, number>();
  readonly #locked = new Map<string, Promise<void>>();
  /** Transactions that haven't ended. */
  running = 0;

  constructor(history: History, nowMs: () => number) {
    this.#history = history;
    this.#nowMs = nowMs;
    this.source = new MemorySource({ nowMs });
    for (let key = 0; key < keyCount; key += 1) {
      for (const row of ['left', 'right']) {
        this.#visible.set(key + row, 1);
        this.#newest.set(key + row, 1);
      }
    }
  }

  /** What a reader that begins now sees. */
  read(key: number): Item {
    return { key, left: this.#visible.get(`${key}left`)!, right: this.#visible.get(`${key}right`)! };
  }

  /** Resolves when the commit has returned. */
  async write({ key, row, logMs, showMs }: Write, log: (text: string) => void): Promise<void> {
    const name = key + row;
    this.running += 1;
    while (this.#locked.has(name)) await this.#locked.get(name);
    let unlock = (): void => {};
    this.#locked.set(
      name,
      new Promise((resolve) => {
        unlock = resolve;
      }),
    );
    const version = this.#newest.get(name)! + 1;
    this.#newest.set(name, version);
    const transaction = this.source.prepare([
      { table: `public.${row}`, before: undefined, after: { id: String(key) }, identified: true },
    ]);
    const what = `key ${key} ${row} ${version}`;
    let position = 0n;
    const logged = later(logMs, () => {
      // Known before it is streamed: the consumer may apply it at once.
      this.#history.wrote(key, row, version, this.source.position + 100n);
      log(`database: the commit record of ${what} enters the log`);
      position = transaction.log();
    });
    const shown = later(showMs, () => {
      log(`database: ${what} becomes visible`);
      this.#visible.set(name, version);
      transaction.show();
      this.#locked.delete(name);
      unlock();
    });
    await Promise.all([logged, shown]);
    this.#history.ended(key, row, { version, position, endedAtMs: this.#nowMs() });
    this.running -= 1;
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
