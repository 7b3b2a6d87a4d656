/**
 * Fetches packages from a Debian archive without root and without touching the system's own package state:
 * apt is pointed at folders of ours. apt checks signatures and checksums; a package that fails them is not used.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstallProgress } from './engine-build.ts';
import { firstExisting } from './first-existing.ts';

export interface PackageArchive {
  readonly uri: string;
  readonly keyring: string;
  /** Where its security updates are; undefined when the system is not configured with them. */
  readonly securityUri: string | undefined;
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
  const texts = await sourceTexts();
  const uri = debianUri(texts);
  return uri === undefined ? undefined : { uri, keyring, securityUri: debianUri(texts, 'security') };
}

async function sourceTexts(): Promise<string> {
  const files = ['/etc/apt/sources.list'];
  for (const folder of sourceFolders) {
    for (const name of await readdir(folder).catch(() => [])) files.push(join(folder, name));
  }
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return texts.join('\n\n');
}

/** (pure) The first archive that looks like Debian's, in either of apt's two source formats. */
export function debianUri(text: string, archive: 'main' | 'security' = 'main'): string | undefined {
  const fits = archive === 'main' ? isDebianMain : isDebianSecurity;
  for (const stanza of text.split(/\n\s*\n/)) {
    const uri = /^URIs:\s*(\S+)/m.exec(stanza)?.[1];
    const suites = /^Suites:\s*(.+)$/m.exec(stanza)?.[1];
    const programs = /^Types:.*\bdeb(?!-src)\b/m.test(stanza) && !/^Enabled:\s*(no|false)\b/im.test(stanza);
    if (!programs) continue;
    if (uri !== undefined && suites !== undefined && fits(uri, suites)) return uri.replace(/\/$/, '');
  }
  for (const line of text.split('\n')) {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
    if (match !== null && fits(match[1]!, match[2]!)) return match[1]!.replace(/\/$/, '');
  }
  return undefined;
}

function isDebianSecurity(uri: string, suites: string): boolean {
  return /\/debian-security\/?$/.test(uri) && /-security/.test(suites.split(/\s+/)[0] ?? '');
}

function isDebianMain(uri: string, suites: string): boolean {
  return /\/debian\/?$/.test(uri) && !/-security/.test(suites.split(/\s+/)[0] ?? '');
}

export interface PackageRequest {
  readonly archive: PackageArchive;
  readonly release: string;
  /** Whose security updates are taken too; those of none when left out. */
  readonly securedBy?: string | undefined;
  readonly packages: readonly string[];
  /** Of the first package, as the archive names it; its newest when left out. */
  readonly revision?: string | undefined;
  readonly stateDirectory: string;
  readonly onProgress: InstallProgress;
}

export interface PackageSource {
  /** What the archive has of the first package, or is asked for of it: `5:7.0.15-1~deb12u10`. */
  readonly revision: string;
  /** Downloads the packages and unpacks them into `tree`. */
  unpack(tree: string): Promise<void>;
}

/**
 * Reads the archive's package lists.
 * @throws PackageFetchFailed with apt's own words.
 */
export async function openPackages(request: PackageRequest): Promise<PackageSource> {
  const { release, packages, stateDirectory, onProgress } = request;
  const state = join(stateDirectory, release);
  const downloads = join(state, 'downloads');
  await mkdir(join(state, 'sources'), { recursive: true });
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
  // A file that is there already is not named.
  await rm(downloads, { recursive: true, force: true });
  await mkdir(downloads, { recursive: true });
  await writeFile(join(state, 'status'), '');
  await writeFile(join(state, 'sources', 'archive.sources'), sourcesOf(request));
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
  const [first, ...libraries] = packages;
  const named = request.revision === undefined ? first! : `${first}=${request.revision}`;
  // One line: the address, and the name under which the file would be kept, with the revision in it.
  const line = await apt([...settings, 'download', '--print-uris', named], downloads);
  const revision = decodeURIComponent(/^'[^']*' [^_\s]+_([^_\s]+)_/m.exec(line)?.[1] ?? '');
  if (revision === '') throw new PackageFetchFailed(`apt-get names no file of ${named} in ${release}.`);

  return {
    revision,
    async unpack(tree) {
      const text = `downloading ${first} and ${libraries.length} libraries`;
      onProgress({ text, fraction: 0 });
      const wanted = [`${first}=${revision}`, ...libraries];
      await apt([...settings, 'download', ...wanted], downloads, (fraction) =>
        onProgress({ text, fraction }),
      );
      onProgress({ text: `unpacking ${first}` });
      await mkdir(tree, { recursive: true });
      const files = await readdir(downloads);
      for (const name of packages) {
        const file = files.find((each) => each.startsWith(`${name}_`) && each.endsWith('.deb'));
        if (file === undefined) {
          throw new PackageFetchFailed(`apt-get reported success but ${name} of ${release} is not there.`);
        }
        await command('dpkg-deb', ['-x', join(downloads, file), tree], downloads);
      }
    },
  };
}

/** Backports hold what is new; the libraries are those of the release they are for. */
function sourcesOf({ archive, release, securedBy }: PackageRequest): string {
  const suites = release.endsWith('-backports')
    ? `${release.replace(/-backports$/, '')} ${release}`
    : release;
  const stanza = (uri: string, of: string) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${of}\nComponents: main\nSigned-By: ${archive.keyring}\n`;
  const secured = archive.securityUri !== undefined && securedBy !== undefined;
  return [stanza(archive.uri, suites)]
    .concat(secured ? stanza(archive.securityUri, `${securedBy}-security`) : [])
    .join('\n');
}

/** @returns what it printed. */
function apt(args: readonly string[], cwd: string, onFraction?: (fraction: number) => void): Promise<string> {
  return command('apt-get', args, cwd, (line) => {
    const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1];
    if (percent !== undefined) onFraction?.(Number(percent) / 100);
  });
}

function command(
  file: string,
  args: readonly string[],
  cwd: string,
  onStatusLine?: (line: string) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('env', ['LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive', file, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      timeout: commandTimeoutMs,
    });
    let printed = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      printed = (printed + chunk.toString()).slice(-20_000);
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
      if (code === 0) resolve(printed);
      else
        reject(
          new PackageFetchFailed(`"${file} ${args.at(-1)}" failed: ${problem.trim() || `exit ${code}`}`),
        );
    });
  });
}
