/**
 * What really happened, and what a read may therefore return.
 *
 * Bound: no read returns a row that was replaced, by a commit that had returned, longer than the bound before the
 * read began. G0: the engine accepts no entry that lacks a change whose invalidation it has applied.
 */

export interface RowVersion {
  readonly version: number;
  readonly position: bigint;
  /** Both in the log and visible: the commit has returned. */
  readonly endedAtMs: number;
}

export interface Item {
  readonly key: number;
  readonly left: number;
  readonly right: number;
}

type Row = 'left' | 'right';
const rows: readonly Row[] = ['left', 'right'];

export class History {
  readonly violations: string[] = [];
  readonly #ended = new Map<string, RowVersion[]>();
  /** Positions of all transactions that touched a key. */
  readonly #written = new Map<string, { readonly version: number; readonly position: bigint }[]>();
  /** Highest version of a row whose invalidation the engine has applied, as its present state has it. */
  #applied = new Map<string, number>();
  readonly #jumps: { readonly atMs: number; readonly ms: number }[] = [];
  readonly #boundMs: number;

  constructor(boundMs: number) {
    this.#boundMs = boundMs;
  }

  wrote(key: number, row: Row, version: number, position: bigint): void {
    listOf(this.#written, key + row).push({ version, position });
  }

  ended(key: number, row: Row, version: RowVersion): void {
    listOf(this.#ended, key + row).push(version);
  }

  /** The engine's clock was set forward: until processes look again, the bound is wider by so much. */
  clockJumped(atMs: number, ms: number): void {
    if (ms > 0) this.#jumps.push({ atMs, ms });
  }

  checkRead(
    value: Item,
    read: { readonly process: number; readonly beganAtMs: number; readonly nowMs: number },
  ): void {
    const { beganAtMs, nowMs, process } = read;
    const widened = this.#jumps
      .filter(({ atMs }) => atMs <= nowMs && beganAtMs - atMs < 1_500)
      .reduce((sum, { ms }) => sum + ms, 0);
    const before = beganAtMs - this.#boundMs - widened;
    for (const row of rows) {
      const newest = (this.#ended.get(value.key + row) ?? [])
        .filter(({ endedAtMs }) => endedAtMs < before)
        .reduce((most, { version }) => Math.max(most, version), 0);
      if (value[row] >= newest) continue;
      this.violations.push(
        `${beganAtMs} ms: process ${process} reads key ${value.key} with ${row} ${value[row]}, ` +
          `but ${row} ${newest} was committed more than ${this.#boundMs} ms before`,
      );
    }
  }

  // --- G0, as the engine's own state has it ---------------------------------------------------------------

  /** Everything of these keys up to this position is applied. */
  applied(keys: readonly number[], position: bigint): void {
    for (const key of keys) {
      for (const row of rows) {
        for (const { version, position: at } of this.#written.get(key + row) ?? []) {
          if (at <= position) this.#raise(key + row, version);
        }
      }
    }
  }

  /** An application invalidated the key: everything committed by then. */
  invalidated(key: number): void {
    for (const row of rows) {
      for (const { version } of this.#ended.get(key + row) ?? []) this.#raise(key + row, version);
    }
  }

  /** A failover: what was applied after this position isn't any more. */
  rewound(position: bigint): void {
    for (const [name, list] of this.#written) {
      const kept = list
        .filter((each) => each.position <= position)
        .reduce((most, { version }) => Math.max(most, version), 0);
      if ((this.#applied.get(name) ?? 0) > kept) this.#applied.set(name, kept);
    }
  }

  /** The engine lost its state. */
  forgotten(): void {
    this.#applied = new Map();
  }

  checkFill(value: Item, nowMs: number): void {
    for (const row of rows) {
      const needed = this.#applied.get(value.key + row) ?? 0;
      if (value[row] >= needed) continue;
      this.violations.push(
        `${nowMs} ms: the engine accepts key ${value.key} with ${row} ${value[row]} although it has applied ` +
          `the invalidation for ${row} ${needed}`,
      );
    }
  }

  #raise(name: string, version: number): void {
    if ((this.#applied.get(name) ?? 0) < version) this.#applied.set(name, version);
  }
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
