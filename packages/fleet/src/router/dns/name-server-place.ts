/** Where a router answers questions about names, on disk: one that comes back does so before anybody told it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../../durable-file.ts';
import { readTarget, type Target } from '../route-table.ts';

const fileOf = (directory: string) => join(directory, 'dns.json');

/** Undefined: nowhere. @throws when the file is damaged. */
export function readNameServerPlace(directory: string): Target | undefined {
  const file = fileOf(directory);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { listen } = JSON.parse(text) as { listen?: unknown };
    return listen === undefined ? undefined : readTarget(listen, 'listen');
  } catch (error) {
    throw new Error(`${file} can't be read; remove it.`, { cause: error });
  }
}

/** Returns when it is on disk. */
export function writeNameServerPlace(directory: string, listen: Target | undefined): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeDurably(fileOf(directory), JSON.stringify({ ...(listen !== undefined && { listen }) }));
}
