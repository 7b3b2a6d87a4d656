/** The router's memory: what it serves, and the highest epoch it has seen of each owner. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../durable-file.ts';
import { type RouteTable, readRouteTable } from './route-table.ts';

function tableFile(dataDirectory: string): string {
  return join(dataDirectory, 'router.json');
}

/**
 * By owner; an owner that gave up all its routes is kept for its epoch. Empty when no router ran here.
 * @throws when the file is damaged.
 */
export function readTables(dataDirectory: string): Map<string, RouteTable> {
  const file = tableFile(dataDirectory);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
  try {
    const owners = JSON.parse(text) as Record<string, unknown>;
    return new Map(Object.entries(owners).map(([owner, table]) => [owner, readRouteTable(table)]));
  } catch (error) {
    // To begin with no epochs would let orders from the past through.
    throw new Error(`${file} can't be read; restore it, or stop the service and remove it.`, {
      cause: error,
    });
  }
}

/** Returns when they are on disk. */
export function writeTables(dataDirectory: string, tables: ReadonlyMap<string, RouteTable>): void {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  writeDurably(tableFile(dataDirectory), JSON.stringify(Object.fromEntries(tables)));
}
