/** Debian's packages for tests, fetched when they are not here yet, unpacked without root and run through their own loader. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from '@larder/engine/store/file-lock';
import { firstExisting } from '@larder/engine/store/first-existing';
import { configuredArchive, openPackages } from '@larder/engine/store/package-archive';
import { directories } from './config.ts';

const release = 'bookworm';
const triplets = ['x86_64-linux-gnu', 'aarch64-linux-gnu'];

export interface DebianTree {
  readonly tree: string;
  /** Runs a program of the tree: `--library-path LIBRARIES PROGRAM …`. */
  readonly loader: string;
  readonly libraries: string;
}

/** Safe to call from several processes at once. @throws when they can't be fetched. */
export async function debianTree(name: string, packages: readonly string[]): Promise<DebianTree> {
  const folder = join(directories.cache, name);
  const tree = join(folder, 'tree');
  const complete = join(tree, 'complete');
  if ((await firstExisting([complete])) === undefined) {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await withFileLock(join(folder, 'install.lock'), async () => {
      if ((await firstExisting([complete])) === undefined) await unpack(folder, tree, packages);
    });
  }
  const loader = await firstExisting([
    join(tree, 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'),
    join(tree, 'lib/aarch64-linux-gnu/ld-linux-aarch64.so.1'),
  ]);
  if (loader === undefined) throw new Error(`The packages in ${tree} have no loader.`);
  const libraries = triplets
    .flatMap((each) => [join(tree, 'usr/lib', each), join(tree, 'lib', each)])
    .join(':');
  return { tree, loader, libraries };
}

async function unpack(folder: string, tree: string, packages: readonly string[]): Promise<void> {
  const archive = await configuredArchive();
  if (archive === undefined) {
    throw new Error('Debian packages can only be fetched where apt is set up for a Debian archive.');
  }
  const partial = `${tree}.partial`;
  await rm(partial, { recursive: true, force: true });
  const source = await openPackages({
    archive,
    release,
    packages,
    stateDirectory: join(folder, 'packages'),
    onProgress: () => {},
  });
  await source.unpack(partial);
  await writeFile(join(partial, 'complete'), '');
  await rename(partial, tree);
}
