/**
 * Writes packages/engine/families/*.json from the engines of the store; with --check compares instead, and fails when
 * a file is not what its engines say. Engines that are missing are installed first.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import { scratchEngines } from '@larder/fleet/scratch-engine';
import { directories, searchPath } from '../../testing/config.ts';
import { buildFamily, families } from './build-family.ts';

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const folder = fileURLToPath(new URL('../../../packages/engine/families/', import.meta.url));
const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
const place = await mkdtemp(join(tmpdir(), 'larder-families-'));
const scratch = scratchEngines({
  directory: join(place, 'scratch'),
  findBuild: (engine, version) => store.install(engine, version),
});
try {
  await mkdir(folder, { recursive: true });
  for (const family of families) {
    const builds: EngineBuild[] = [];
    for (const line of family.lines) builds.push(await store.install(family.engine, line));
    const text = `${JSON.stringify(await buildFamily(family, builds, scratch), undefined, 2)}\n`;
    const file = join(folder, `${family.family}.json`);
    const versions = builds.map(({ version }) => version).join(', ');
    if (!values.check) {
      await writeFile(file, text);
      process.stdout.write(`${family.family}: written from ${family.engine} ${versions}\n`);
    } else if ((await readFile(file, 'utf8').catch(() => '')) === text) {
      process.stdout.write(`${family.family}: as ${family.engine} ${versions} says\n`);
    } else {
      process.exitCode = 1;
      process.stderr.write(
        `✗ ${family.family}.json is not what ${family.engine} ${versions} says.\n  What mends it:  npm run families\n`,
      );
    }
  }
} finally {
  await scratch.close();
  await rm(place, { recursive: true, force: true });
}
