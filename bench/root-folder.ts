/** Where things are, from the sources and from the build alike. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const rootFolder: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'bootstrap.mjs'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error('No bootstrap.mjs above this file: the repository is incomplete.');
    folder = above;
  }
  return folder;
})();

/** Node can't run the sources, so a forked process always runs the build. @param path below `dist`: `bench/cache/x.js` */
export function builtFile(path: string): string {
  return join(rootFolder, 'dist', ...path.split('/'));
}
