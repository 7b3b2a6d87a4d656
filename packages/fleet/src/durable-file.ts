/** Small files that must be whole, and there, after a crash. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';

/** Another reader sees the old text or the new, and a crash leaves one of them. For its owner's eyes only. */
export function writeDurably(file: string, text: string): void {
  const partial = `${file}.partial`;
  const descriptor = openSync(partial, 'w', 0o600);
  writeSync(descriptor, text);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(partial, file);
}
