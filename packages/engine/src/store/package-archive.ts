/**
 * Fetches packages from a Debian archive without root and without touching the system's own package state:
 * apt is pointed at folders of ours. apt checks signatures and checksums; a package that fails them is not used.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstallProgress } from './engine-build.ts';
import { firstExisting } from './first-existing.ts';

export interface PackageArchive {
  readonly uri: string;
  readonly keyring: string;
}

export class PackageFetchFailed extends Error {
  override name = 'PackageFetchFailed';
}

const keyrings = [
  '/usr/share/keyrings/debian-archive-keyring.gpg',
  '/usr/share/keyrings/debian-archive-keyring.pgp',
];
const sourceFolders = ['/etc/apt/sources.list.d'];
const commandTimeoutMs = 300_000;

/** The archive this system is configured with, or undefined where packages can't be had this way. */
export async function configuredArchive(): Promise<PackageArchive | undefined> {
  const keyring = await firstExisting(keyrings);
  if (keyring === undefined) return undefined;
  if ((await firstExisting(['/usr/bin/apt-get'])) === undefined) return undefined;
  if ((await firstExisting(['/usr/bin/dpkg-deb'])) === undefined) return undefined;
  const uri = debianUri(await sourceTexts());
  return uri === undefined ? undefined : { uri, keyring };
}

async function sourceTexts(): Promise<string> {
  const files = ['/etc/apt/sources.list'];
  for (const folder of sourceFolders) {
    for (const name of await readdir(folder).catch(() => [])) files.push(join(folder, name));
  }
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return texts.join('\n\n');
}

/** (pure) The first archive that looks like Debian's main one, in either of apt's two source formats. */
export function debianUri(text: string): string | undefined {
  for (const stanza of text.split(/\n\s*\n/)) {
    const uri = /^URIs:\s*(\S+)/m.exec(stanza)?.[1];
    const suites = /^Suites:\s*(.+)$/m.exec(stanza)?.[1];
    const programs = /^Types:.*\bdeb(?!-src)\b/m.test(stanza) && !/^Enabled:\s*(no|false)\b/im.test(stanza);
    if (!programs) continue;
    if (uri !== undefined && suites !== undefined && isDebianMain(uri, suites)) return uri.replace(/\/$/, '');
  }
  for (const line of text.split('\n')) {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
    if (match !== null && isDebianMain(match[1]!, match[2]!)) return match[1]!.replace(/\/$/, '');
  }
  return undefined;
}

function isDebianMain(uri: string, suites: string): boolean {
  return /\/debian\/?$/.test(uri) && !/-security/.test(suites.split(/\s+/)[0] ?? '');
}

/**
 * Downloads `packages` of `release` into `directory` and unpacks them into `tree`.
 * @returns the revision of the first package, as the archive names it.
 */
export async function fetchPackages(options: {
  readonly archive: PackageArchive;
  readonly release: string;
  readonly packages: readonly string[];
  readonly stateDirectory: string;
  readonly tree: string;
  readonly onProgress: InstallProgress;
}): Promise<string> {
  const { archive, release, packages, stateDirectory, tree, onProgress } = options;
  // Backports hold what is new; the libraries are those of the release they are for.
  const suites = release.endsWith('-backports')
    ? `${release.replace(/-backports$/, '')} ${release}`
    : release;
  const state = join(stateDirectory, release);
  const downloads = join(state, 'downloads');
  await mkdir(join(state, 'sources'), { recursive: true });
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
  await mkdir(downloads, { recursive: true });
  await mkdir(tree, { recursive: true });
  await writeFile(join(state, 'status'), '');
  await writeFile(
    join(state, 'sources', 'archive.sources'),
    `Types: deb\nURIs: ${archive.uri}\nSuites: ${suites}\nComponents: main\nSigned-By: ${archive.keyring}\n`,
  );
  const settings = [
    'Dir::Etc::SourceList=/dev/null',
    `Dir::Etc::SourceParts=${join(state, 'sources')}`,
    `Dir::State::Lists=${join(state, 'lists')}`,
    `Dir::State::status=${join(state, 'status')}`,
    `Dir::Cache=${join(state, 'cache')}`,
    `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`,
    'Acquire::Languages=none',
    'Acquire::Retries=2',
    'APT::Status-Fd=3',
  ].flatMap((setting) => ['-o', setting]);

  onProgress({ text: `reading the package list of ${release}`, fraction: 0 });
  await apt([...settings, 'update'], downloads, (fraction) =>
    onProgress({ text: `reading the package list of ${release}`, fraction }),
  );
  onProgress({ text: `downloading ${packages[0]} and ${packages.length - 1} libraries`, fraction: 0 });
  await apt([...settings, 'download', ...packages], downloads, (fraction) =>
    onProgress({ text: `downloading ${packages[0]} and ${packages.length - 1} libraries`, fraction }),
  );
  onProgress({ text: `unpacking ${packages[0]}` });
  const files = await readdir(downloads);
  let revision = 'unknown';
  for (const name of packages) {
    const file = files.find((each) => each.startsWith(`${name}_`) && each.endsWith('.deb'));
    if (file === undefined) {
      throw new PackageFetchFailed(`apt-get reported success but ${name} of ${release} is not there.`);
    }
    if (name === packages[0]) revision = decodeURIComponent(file.split('_')[1] ?? 'unknown');
    await command('dpkg-deb', ['-x', join(downloads, file), tree], downloads);
  }
  return revision;
}

function apt(args: readonly string[], cwd: string, onFraction: (fraction: number) => void): Promise<void> {
  return command('apt-get', args, cwd, (line) => {
    const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1];
    if (percent !== undefined) onFraction(Number(percent) / 100);
  });
}

function command(
  file: string,
  args: readonly string[],
  cwd: string,
  onStatusLine?: (line: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('env', ['LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive', file, ...args], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      timeout: commandTimeoutMs,
    });
    let problem = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      problem = (problem + chunk.toString()).slice(-4_000);
    });
    child.stdio[3]!.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n')) onStatusLine?.(line);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else
        reject(
          new PackageFetchFailed(`"${file} ${args.at(-1)}" failed: ${problem.trim() || `exit ${code}`}`),
        );
    });
  });
}
