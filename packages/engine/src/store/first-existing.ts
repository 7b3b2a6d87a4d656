import { access } from 'node:fs/promises';

/** The first of `paths` that is there, whatever it is; undefined when none is. */
export async function firstExisting(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}
