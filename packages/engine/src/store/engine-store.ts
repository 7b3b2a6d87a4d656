/**
 * The engine store: which engine versions this machine can run, and installing more without root.
 *
 * Order of preference for a wanted version: a package tree already here, a program on PATH of that version,
 * a package tree fetched now. So a machine without network works with what it has.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import {
  buildVersion,
  compareVersions,
  type EngineName,
  engineNames,
  engineTraits,
  versionMatches,
} from '../engine.ts';
import type { EngineBuild, InstallProgress } from './engine-build.ts';
import { withFileLock } from './file-lock.ts';
import { firstExisting } from './first-existing.ts';
import { configuredArchive, openPackages } from './package-archive.ts';
import { type PackagedEngine, packagedEngine, packagedEngines } from './package-catalogue.ts';

const run = promisify(execFile);
const versionTimeoutMs = 10_000;
const manifestFile = 'larder-engine.json';

export class EngineUnavailable extends Error {
  override name = 'EngineUnavailable';
}

export interface EngineStore {
  /** Every build that runs here now, newest first per engine. Starts each program once to ask its version. */
  list(): Promise<EngineBuild[]>;
  /**
   * The newest build here of that engine whose version matches, or undefined. Never installs.
   * @param version a whole version or its beginning, `9.1` or `9`; the newest of all when left out.
   */
  find(engine: EngineName, version?: string): Promise<EngineBuild | undefined>;
  /**
   * Finds, or fetches and unpacks. Safe to call from several processes at once.
   * @throws EngineUnavailable with what is missing and the command that mends it.
   */
  install(engine: EngineName, version?: string, options?: InstallOptions): Promise<EngineBuild>;
}

export interface InstallOptions {
  /**
   * `newest`: what the archive has now, also when an older build is here; nodes run on what they were started with.
   * Else a package's revision, `5:7.0.15-1~deb12u7`. Left out: any build of the version will do.
   */
  readonly revision?: 'newest' | (string & {});
  readonly onProgress?: InstallProgress;
}

export interface EngineStoreOptions {
  /** Holds the package trees; created when missing. */
  readonly directory: string;
  /** Searched for system programs, in the form of `PATH`. */
  readonly searchPath: string;
}

export function engineStore(options: EngineStoreOptions): EngineStore {
  const { directory } = options;

  async function list(): Promise<EngineBuild[]> {
    const builds = [...(await packageTrees(directory)), ...(await systemPrograms(options.searchPath))];
    return builds.sort(
      (a, b) =>
        engineNames.indexOf(a.engine) - engineNames.indexOf(b.engine) ||
        compareVersions(b.version, a.version) ||
        a.origin.localeCompare(b.origin),
    );
  }

  async function find(engine: EngineName, version?: string): Promise<EngineBuild | undefined> {
    const builds = await list();
    return builds.find(
      (build) => build.engine === engine && (version === undefined || versionMatches(build.version, version)),
    );
  }

  async function install(
    engine: EngineName,
    version: string = engineTraits[engine].defaultVersion,
    { revision, onProgress = () => {} }: InstallOptions = {},
  ): Promise<EngineBuild> {
    const fits = ({ detail }: EngineBuild) =>
      revision === undefined || (revision !== 'newest' && detail === `${engine} ${revision}`);
    const present = async () =>
      (await list()).find(
        (build) => build.engine === engine && versionMatches(build.version, version) && fits(build),
      );
    const found = await present();
    if (found !== undefined) return found;
    const wanted = packagedEngine(engine, version);
    if (wanted === undefined)
      throw unavailable(engine, version, 'no package source is known for this version');
    await mkdir(directory, { recursive: true, mode: 0o755 });
    return withFileLock(join(directory, 'install.lock'), async () => {
      const meanwhile = await present();
      if (meanwhile !== undefined) return meanwhile;
      const fetched = await fetchTree(
        directory,
        wanted,
        revision === 'newest' ? undefined : revision,
        onProgress,
      );
      if (versionMatches(fetched.version, version)) return fetched;
      throw unavailable(
        engine,
        version,
        `the archive's ${wanted.release} no longer has ${engine} ${version}`,
      );
    });
  }

  return { list, find, install };
}

interface TreeManifest {
  readonly engine: EngineName;
  /** As the program prints it. */
  readonly version: string;
  readonly revision: string;
  readonly programPath: string;
}

/** Leaves alone what is there already. */
async function fetchTree(
  directory: string,
  wanted: PackagedEngine,
  revision: string | undefined,
  onProgress: InstallProgress,
): Promise<EngineBuild> {
  const { engine, line, release, programPath } = wanted;
  const failed = (reason: string) => unavailable(engine, line, reason);
  const archive = await configuredArchive();
  if (archive === undefined) throw failed('this system has no Debian package archive to fetch it from');
  const source = await openPackages({
    archive,
    release,
    securedBy: wanted.securedBy,
    packages: [wanted.package, ...wanted.libraries],
    revision,
    stateDirectory: join(directory, 'packages'),
    onProgress,
  }).catch((error: Error) => {
    throw failed(error.message);
  });
  const detail = `${engine} ${source.revision}`;
  const present = (await packageTrees(directory)).find((build) => build.detail === detail);
  if (present !== undefined) return present;

  const partial = join(directory, `${engine}-${line}.partial`);
  await rm(partial, { recursive: true, force: true });
  await source.unpack(partial).catch((error: Error) => {
    throw failed(error.message);
  });
  const printed = await askVersion(await treeCommand(partial, programPath, engineTraits[engine].program));
  if (printed === undefined) throw failed('the unpacked program does not start');
  const manifest: TreeManifest = { engine, version: printed, revision: source.revision, programPath };
  await writeFile(join(partial, manifestFile), JSON.stringify(manifest));
  const tree = join(directory, `${engine}-${buildVersion(printed, source.revision)}`);
  await rm(tree, { recursive: true, force: true });
  await rename(partial, tree);
  return treeBuild(tree, manifest);
}

async function treeBuild(
  tree: string,
  { engine, version, revision, programPath }: TreeManifest,
): Promise<EngineBuild> {
  return {
    engine,
    version: buildVersion(version, revision),
    origin: 'package',
    detail: `${engine} ${revision}`,
    command: await treeCommand(tree, programPath, engineTraits[engine].program),
  };
}

async function packageTrees(directory: string): Promise<EngineBuild[]> {
  const builds: EngineBuild[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const tree = join(directory, name);
    const text = await readFile(join(tree, manifestFile), 'utf8').catch(() => undefined);
    if (text === undefined || name.endsWith('.partial')) continue;
    builds.push(await treeBuild(tree, JSON.parse(text) as TreeManifest));
  }
  return builds;
}

async function treeCommand(
  tree: string,
  programPath: string,
  calledAs: string,
): Promise<EngineBuild['command']> {
  const loader = await firstExisting([
    // Beside its C library first: `lib64` may hold a link to the system's own, which is of another release.
    ...['usr/lib', 'lib'].flatMap((folder) => [
      join(tree, folder, 'x86_64-linux-gnu/ld-linux-x86-64.so.2'),
      join(tree, folder, 'aarch64-linux-gnu/ld-linux-aarch64.so.1'),
    ]),
    ...['usr/', ''].flatMap((prefix) => [
      join(tree, `${prefix}lib64/ld-linux-x86-64.so.2`),
      join(tree, `${prefix}lib/ld-linux-aarch64.so.1`),
    ]),
  ]);
  const libraryPath = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
    .flatMap((triplet) => [join(tree, 'usr/lib', triplet), join(tree, 'lib', triplet)])
    .join(':');
  return {
    file: loader ?? join(tree, programPath),
    args:
      loader === undefined
        ? []
        : ['--library-path', libraryPath, '--argv0', calledAs, join(tree, programPath)],
  };
}

async function systemPrograms(searchPath: string): Promise<EngineBuild[]> {
  const builds: EngineBuild[] = [];
  for (const engine of engineNames) {
    for (const folder of searchPath.split(delimiter).filter((each) => each !== '')) {
      const file = join(folder, engineTraits[engine].program);
      if ((await firstExisting([file])) === undefined) continue;
      const version = await askVersion({ file, args: [] });
      if (version === undefined) continue;
      builds.push({ engine, version, origin: 'system', detail: file, command: { file, args: [] } });
      break;
    }
  }
  return builds;
}

async function askVersion(command: EngineBuild['command']): Promise<string | undefined> {
  for (const flag of ['--version', '-V']) {
    try {
      const { stdout } = await run(command.file, [...command.args, flag], { timeout: versionTimeoutMs });
      const version = /(?:v=|memcached )(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
      if (version !== undefined) return version;
    } catch {
      // A program that can't start is no build; the caller lists what does.
    }
  }
  return undefined;
}

function unavailable(engine: EngineName, version: string, reason: string): EngineUnavailable {
  const known = packagedEngines.map((each) => `${each.engine} ${each.line}`).join(', ');
  return new EngineUnavailable(
    `${engineTraits[engine].title} ${version} is not available: ${reason}. ` +
      `Install ${engineTraits[engine].program} with your system's package manager so that it is on PATH, ` +
      `or choose a version that can be fetched (${known}): "larder engines install ${engine}".`,
  );
}
