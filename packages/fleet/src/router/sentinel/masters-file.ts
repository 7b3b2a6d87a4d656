/** What the facade serves and where, on disk: a router that comes back serves it before anybody told it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../../durable-file.ts';
import { readTarget, type Target } from '../route-table.ts';
import { type MasterEntry, readMasterEntry } from './masters.ts';

export interface SentinelFile {
  /** Missing: it is switched off. */
  readonly listen?: Target;
  /** By owner. */
  readonly masters: ReadonlyMap<string, MasterEntry>;
}

const fileOf = (directory: string) => join(directory, 'sentinel.json');

/** Empty when there is none. @throws when it is damaged. */
export function readSentinelFile(directory: string): SentinelFile {
  const file = fileOf(directory);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { masters: new Map() };
    throw error;
  }
  try {
    const { listen, masters } = JSON.parse(text) as { listen?: unknown; masters: Record<string, unknown> };
    return {
      ...(listen !== undefined && { listen: readTarget(listen, 'listen') }),
      masters: new Map(Object.entries(masters).map(([owner, entry]) => [owner, readMasterEntry(entry)])),
    };
  } catch (error) {
    // To begin with no epochs would let words from the past through.
    throw new Error(`${file} can't be read; restore it, or stop the service and remove it.`, {
      cause: error,
    });
  }
}

/** Returns when it is on disk. */
export function writeSentinelFile(directory: string, { listen, masters }: SentinelFile): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeDurably(
    fileOf(directory),
    JSON.stringify({ ...(listen !== undefined && { listen }), masters: Object.fromEntries(masters) }),
  );
}

/** Whether it is told of anything that others may ask for. */
export function knowsAnything({ masters }: SentinelFile): boolean {
  return [...masters.values()].some(({ master, names }) => master !== undefined || names !== undefined);
}

/** Whether a router must run for it. */
export function servesSentinel({ listen, masters }: SentinelFile): boolean {
  return listen !== undefined && [...masters.values()].some(({ master }) => master !== undefined);
}
