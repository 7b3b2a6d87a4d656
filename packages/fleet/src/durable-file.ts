/** Small files that must be whole, and there, after a crash. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

/** Another reader sees the old text or the new, and a crash leaves one of them. For its owner's eyes only. */
export function writeDurably(file: string, text: string): void {
  const partial = `${file}.partial`;
  const descriptor = openSync(partial, 'w', 0o600);
  writeSync(descriptor, text);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(partial, file);
}

/** @returns `missing` when there is no such file. @throws when it can't be read, or holds no JSON. */
export function readJsonFile<T>(file: string, missing: T): T {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return missing;
    throw error;
  }
  return JSON.parse(text) as T;
}
