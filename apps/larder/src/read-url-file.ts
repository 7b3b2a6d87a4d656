/** URLs with passwords come in files: arguments can be seen by everybody on the machine. */
import { readFile } from 'node:fs/promises';
import { UsageError } from './usage-error.ts';

/** @throws UsageError, which never shows what is in the file. */
export async function readUrlFile(
  flag: string,
  file: string,
  expected: { readonly pattern: RegExp; readonly example: string },
): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new UsageError(`${flag} can't be read: ${error.message}`);
  });
  const url = text.trim();
  if (expected.pattern.test(url)) return url;
  throw new UsageError(`${file} must hold one URL, such as ${expected.example}.`);
}
