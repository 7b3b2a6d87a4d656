/**
 * From rows to what depends on them. Pure.
 *
 * What is invalidated is named by one text: a full key, `#t:` and a tag, or `#d:` and the prefix of a definition
 * that is void as a whole. Names of definitions can't begin with `#`.
 */
import type { Watch, WatchedKeys, WatchedRow } from '../definition.ts';
import { CacheConfigError } from '../errors.ts';
import type { RowChange, SourceTable } from './source.ts';

export interface WatchingDefinition {
  readonly name: string;
  readonly prefix: string;
  readonly watches: readonly Watch[];
}

interface TableWatch {
  readonly prefix: string;
  readonly watch: Watch;
}

const tagMark = '#t:';
const definitionMark = '#d:';

/** @returns undefined for what is no tag. */
export function tagOf(target: string): string | undefined {
  return target.startsWith(tagMark) ? target.slice(tagMark.length) : undefined;
}

/** @returns undefined for what is no definition. */
export function definitionOf(target: string): string | undefined {
  return target.startsWith(definitionMark) ? target.slice(definitionMark.length) : undefined;
}

/** Tags and definitions lie in every partition, keys in one. */
export function isEverywhere(target: string): boolean {
  return target.startsWith('#');
}

export class Dependencies {
  readonly tables: readonly SourceTable[];
  readonly #byTable = new Map<string, TableWatch[]>();

  /** Throws CacheConfigError when nothing is watched. */
  constructor(definitions: readonly WatchingDefinition[]) {
    const columns = new Map<string, Set<string>>();
    const appendOnly = new Set<string>();
    for (const definition of definitions) {
      for (const watch of definition.watches) {
        const watches = this.#byTable.get(watch.table) ?? [];
        this.#byTable.set(watch.table, watches);
        watches.push({ prefix: definition.prefix, watch });
        const read = columns.get(watch.table) ?? new Set();
        columns.set(watch.table, read);
        if (watch.appendOnly === true) appendOnly.add(watch.table);
        for (const column of columnsRead(definition.name, watch)) read.add(column);
      }
    }
    if (this.#byTable.size === 0) {
      throw new CacheConfigError(
        'No definition of this cache has `watches`: there is nothing for a feed to do.',
      );
    }
    this.tables = [...columns].map(([table, read]) => ({
      table,
      columns: [...read],
      appendOnly: appendOnly.has(table),
    }));
  }

  /**
   * Adds what depends on the row, as it was and as it is. Anything but undefined is the reason why that can't be
   * known (the row wasn't identified, or a watch threw on it): every row of the table must be taken as changed.
   */
  collect(change: RowChange, targets: Set<string>): Error | undefined {
    const watches = this.#byTable.get(change.table);
    if (watches === undefined) return undefined;
    if (!change.identified)
      return new Error(`A change of ${change.table} doesn't say which rows it concerns.`);
    try {
      for (const { prefix, watch } of watches) {
        if (change.before !== undefined) addTargets(targets, prefix, watch, change.before);
        if (change.after !== undefined) addTargets(targets, prefix, watch, change.after);
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  watches(table: string): boolean {
    return this.#byTable.has(table);
  }

  /**
   * What must be void when any row of the table may have changed: the definitions that watch it; undefined when
   * that is everything, for its rows decide tags, and any entry may have those.
   */
  definitionsOver(table: string): readonly string[] | undefined {
    const watches = this.#byTable.get(table) ?? [];
    if (watches.some(({ watch }) => watch.tags !== undefined)) return undefined;
    return [...new Set(watches.map(({ prefix }) => definitionMark + prefix))];
  }
}

function addTargets(targets: Set<string>, prefix: string, watch: Watch, row: WatchedRow): void {
  addKeys(targets, prefix, watch.key?.(row));
  for (const tag of watch.tags?.(row) ?? []) targets.add(tagMark + tag);
}

function addKeys(targets: Set<string>, prefix: string, found: WatchedKeys): void {
  if (found === null || found === undefined) return;
  if (typeof found === 'object') for (const key of found) targets.add(prefix + String(key));
  else targets.add(prefix + String(found));
}

/** Runs the key function once on a row that notes what is asked of it. */
function columnsRead(definition: string, watch: Watch): readonly string[] {
  const read = new Set<string>();
  const probe = new Proxy<WatchedRow>(
    {},
    {
      get(_, column) {
        if (typeof column === 'string') read.add(column);
        return '1';
      },
    },
  );
  try {
    watch.key?.(probe);
    watch.tags?.(probe);
  } catch (cause) {
    const where = `Definition ${definition}: its watch on ${watch.table}`;
    throw new CacheConfigError(`${where} threw on a row of ones; it must take any text, and null.`, {
      cause,
    });
  }
  return [...read];
}
