/**
 * What really happened, and what a read may therefore return.
 *
 * Bound: no read returns what can't have been true at any time since the bound before the read began; a commit
 * counts from when it has returned. G0: the engine accepts no entry that lacks a change whose invalidation it has
 * applied.
 *
 * A value is compared row by row. What it shows of a row is true of some versions of it; the newest of these is what
 * the value is as recent as.
 */
import { dependenciesOf, groupCount, keyCount, type Table } from './plan.ts';

export interface Item {
  readonly key: number;
  readonly left: number;
  readonly right: number;
}

/** The members of a group, as its rows say: a row may move from one to another. */
export interface List {
  readonly group: number;
  /** Version by member. */
  readonly members: Readonly<Record<string, number>>;
}

interface Version {
  readonly version: number;
  /** Of the member, as this version has it. */
  readonly group: number | undefined;
  /** Of the commit record. */
  position?: bigint;
  /** Both in the log and visible: the commit has returned. */
  endedAtMs?: number;
}

/** What a value shows of one row: true of no version beyond `newest`. */
interface Claim {
  readonly row: string;
  readonly newest: number;
}

export class History {
  readonly violations: string[] = [];
  readonly #versions = new Map<string, Version[]>();
  /** Highest version of a row that the engine has applied to a key, as its present state has it. */
  #applied = new Map<string, number>();
  readonly #jumps: { readonly atMs: number; readonly ms: number }[] = [];
  readonly #loadedAtMs = new Map<string, number>();
  readonly #boundMs: number;

  constructor(boundMs: number) {
    this.#boundMs = boundMs;
  }

  /** A transaction makes this version; it may still be neither in the log nor visible. */
  began(row: string, version: number, group: number | undefined): void {
    const versions = this.#versions.get(row) ?? [];
    this.#versions.set(row, versions);
    versions.push({ version, group });
  }

  wrote(row: string, version: number, position: bigint): void {
    this.#version(row, version).position = position;
  }

  ended(row: string, version: number, endedAtMs: number): void {
    this.#version(row, version).endedAtMs = endedAtMs;
  }

  /** The engine's clock was set forward: until processes look again, the bound is wider by so much. */
  clockJumped(atMs: number, ms: number): void {
    if (ms > 0) this.#jumps.push({ atMs, ms });
  }

  checkRead(
    value: Item | List,
    read: { readonly process: number; readonly beganAtMs: number; readonly nowMs: number },
  ): void {
    const { beganAtMs, nowMs, process } = read;
    const widened = this.#jumps
      .filter(({ atMs }) => atMs <= nowMs && beganAtMs - atMs < 1_500)
      .reduce((sum, { ms }) => sum + ms, 0);
    const before = beganAtMs - this.#boundMs - widened;
    for (const { row, newest } of this.#claims(value)) {
      const needed = this.#newestOf(row, ({ endedAtMs }) => endedAtMs !== undefined && endedAtMs < before);
      if (newest >= needed) continue;
      this.violations.push(
        `${beganAtMs} ms: process ${process} reads ${inWords(value)}, ` +
          `but ${row} ${needed} was committed more than ${this.#boundMs} ms before`,
      );
    }
  }

  // --- how old a value is, changed or not ------------------------------------------------------------------

  loaded(value: Item | List, atMs: number): void {
    this.#loadedAtMs.set(JSON.stringify(value), atMs);
  }

  /** When a loader last read exactly this. */
  loadedAtMs(value: Item | List): number {
    return this.#loadedAtMs.get(JSON.stringify(value)) ?? Number.NEGATIVE_INFINITY;
  }

  // --- G0, as the engine's own state has it ---------------------------------------------------------------

  /** Everything of these keys up to this position is applied. */
  applied(fullKeys: readonly string[], position: bigint): void {
    for (const fullKey of fullKeys) {
      for (const row of dependenciesOf(fullKey)) {
        this.#raise(
          fullKey,
          row,
          this.#newestOf(row, ({ position: at }) => at !== undefined && at <= position),
        );
      }
    }
  }

  /** An application invalidated these: everything committed by then. */
  invalidated(fullKeys: readonly string[]): void {
    for (const fullKey of fullKeys) {
      for (const row of dependenciesOf(fullKey)) {
        this.#raise(
          fullKey,
          row,
          this.#newestOf(row, ({ endedAtMs }) => endedAtMs !== undefined),
        );
      }
    }
  }

  /** A failover: what was applied after this position isn't any more. */
  rewound(position: bigint): void {
    for (const [name, version] of this.#applied) {
      const row = name.slice(name.indexOf(' ') + 1);
      const kept = this.#newestOf(row, ({ position: at }) => at !== undefined && at <= position);
      if (version > kept) this.#applied.set(name, kept);
    }
  }

  /** The engine lost its state. */
  forgotten(): void {
    this.#applied = new Map();
  }

  checkFill(fullKey: string, value: Item | List, nowMs: number): void {
    for (const { row, newest } of this.#claims(value)) {
      const needed = this.#applied.get(`${fullKey} ${row}`) ?? 0;
      if (newest >= needed) continue;
      this.violations.push(
        `${nowMs} ms: the engine accepts ${inWords(value)} although it has applied ` +
          `the invalidation for ${row} ${needed}`,
      );
    }
  }

  #claims(value: Item | List): readonly Claim[] {
    if ('key' in value) {
      return [
        { row: rowOf('left', value.key), newest: value.left },
        { row: rowOf('right', value.key), newest: value.right },
      ];
    }
    return dependenciesOf(`list:1:${value.group}`).map((row) => {
      const shown = value.members[row.slice(row.indexOf(':') + 1)];
      // A row that isn't shown was elsewhere: any version that is elsewhere agrees with that.
      return { row, newest: shown ?? this.#newestOf(row, ({ group }) => group !== value.group) };
    });
  }

  #newestOf(row: string, fits: (version: Version) => boolean): number {
    let newest = 0;
    for (const version of this.#versions.get(row) ?? []) if (fits(version)) newest = version.version;
    return newest;
  }

  #version(row: string, version: number): Version {
    return this.#versions.get(row)!.find((each) => each.version === version)!;
  }

  #raise(fullKey: string, row: string, version: number): void {
    const name = `${fullKey} ${row}`;
    if ((this.#applied.get(name) ?? 0) < version) this.#applied.set(name, version);
  }
}

export function rowOf(table: Table, key: number): string {
  return `${table}:${key}`;
}

/** Full keys of what has the tag, as the definitions of a process give them. */
export function taggedWith(tag: string): readonly string[] {
  const [kind, number = ''] = tag.split(':');
  if (kind === 'list') return [`list:1:${number}`];
  const keys = Array.from({ length: keyCount }, (_, key) => key);
  return keys.filter((key) => key % groupCount === Number(number)).map((key) => `item:1:${key}`);
}

export function inWords(value: Item | List): string {
  if ('key' in value) return `key ${value.key} with left ${value.left}, right ${value.right}`;
  const members = Object.entries(value.members).map(([member, version]) => `${member} at ${version}`);
  return `list ${value.group} with ${members.length > 0 ? members.join(', ') : 'nobody'}`;
}
