/** From rows to the keys that depend on them. Pure. */
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
   * Adds the full keys that depend on the row, as it was and as it is. Anything but undefined is the reason why
   * that can't be known (the row wasn't identified, or a watch threw on it): everything must be taken as changed.
   */
  collect(change: RowChange, keys: Set<string>): Error | undefined {
    const watches = this.#byTable.get(change.table);
    if (watches === undefined) return undefined;
    if (!change.identified)
      return new Error(`A change of ${change.table} doesn't say which rows it concerns.`);
    try {
      for (const { prefix, watch } of watches) {
        if (change.before !== undefined) addKeys(keys, prefix, watch.key(change.before));
        if (change.after !== undefined) addKeys(keys, prefix, watch.key(change.after));
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  watches(table: string): boolean {
    return this.#byTable.has(table);
  }
}

function addKeys(keys: Set<string>, prefix: string, found: WatchedKeys): void {
  if (found === null || found === undefined) return;
  if (typeof found === 'object') for (const key of found) keys.add(prefix + String(key));
  else keys.add(prefix + String(found));
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
    watch.key(probe);
  } catch (cause) {
    const where = `Definition ${definition}: \`key\` of its watch on ${watch.table}`;
    throw new CacheConfigError(`${where} threw on a row of ones; it must take any text, and null.`, {
      cause,
    });
  }
  return [...read];
}
