/** Peers are installed only when a benchmark runs; nothing here may need them to compile. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rootFolder } from './root-folder.ts';

/** @typeParam T what the caller uses of it, as its documentation words it */
export async function importPeer<T>(name: string): Promise<T> {
  const file = pathToFileURL(join(rootFolder, 'bench', 'peers.mjs')).href;
  const { importFromHere } = (await import(file)) as { importFromHere(name: string): Promise<T> };
  try {
    return await importFromHere(name);
  } catch (cause) {
    throw new Error(`The peer ${name} can't be loaded; "npm ci --prefix bench" installs it.`, { cause });
  }
}
