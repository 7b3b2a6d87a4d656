/**
 * A real MariaDB for a test file, in a folder of its own: Debian's packages, unpacked without root and run through
 * their own loader, as engines are.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withFileLock } from '@larder/engine/store/file-lock';
import { firstExisting } from '@larder/engine/store/first-existing';
import { configuredArchive, openPackages } from '@larder/engine/store/package-archive';
import { freePort } from '@larder/storefront/postgres/server';
import mysql from 'mysql2/promise';
import { directories } from './config.ts';
import { waitFor } from './wait-for.ts';

const release = 'bookworm';
const packages = [
  'mariadb-server-core',
  'mariadb-server',
  ...['libc6', 'libgcc-s1', 'libstdc++6', 'zlib1g', 'libaio1', 'libcrypt1', 'libnuma1', 'libpcre2-8-0'],
  ...['libssl3', 'libsystemd0', 'liburing2', 'libcap2', 'liblz4-1', 'liblzma5', 'libzstd1', 'libgcrypt20'],
  'libgpg-error0',
];

export interface MariadbAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface TestMariadb {
  readonly address: MariadbAddress;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Stops the server and removes its folder. */
  remove(): Promise<void>;
}

const tree = join(directories.cache, 'mariadb', 'tree');

/** Fetches and unpacks what is missing. Safe to call from several processes at once. */
export async function installMariadb(): Promise<void> {
  if (await installed()) return;
  const folder = join(directories.cache, 'mariadb');
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await withFileLock(join(folder, 'install.lock'), async () => {
    if (await installed()) return;
    const archive = await configuredArchive();
    if (archive === undefined)
      throw new Error('MariaDB can only be fetched where apt is set up for a Debian archive.');
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
    await chmod(partial, 0o755);
    await rename(partial, tree);
  });
}

async function installed(): Promise<boolean> {
  return (await firstExisting([join(tree, 'usr/sbin/mariadbd')])) !== undefined;
}

/** The server's program and what goes before its own arguments. */
async function command(): Promise<{ readonly file: string; readonly args: readonly string[] }> {
  const loader = await firstExisting([
    join(tree, 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'),
    join(tree, 'lib/aarch64-linux-gnu/ld-linux-aarch64.so.1'),
  ]);
  if (loader === undefined) throw new Error('No MariaDB here; the global set-up says why.');
  const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
    .flatMap((triplet) => [join(tree, 'usr/lib', triplet), join(tree, 'lib', triplet)])
    .join(':');
  return {
    file: loader,
    args: ['--library-path', libraries, '--argv0', 'mariadbd', join(tree, 'usr/sbin/mariadbd')],
  };
}

/** @param settings added as `--name=value`. Binary log by row with GTIDs is on. */
export async function startTestMariadb(
  settings: Readonly<Record<string, string | number>> = {},
): Promise<TestMariadb> {
  const folder = await mkdtemp(join(tmpdir(), 'larder-test-mariadb-'));
  await chmod(folder, 0o755);
  const data = join(folder, 'data');
  const password = randomBytes(12).toString('base64url');
  const identity = await unprivileged();
  await mkdir(data);
  if (identity.uid !== undefined) await chown(data, identity.uid, identity.gid!);
  const { file, args: loader } = await command();
  const base = [
    ...loader,
    '--no-defaults',
    `--datadir=${data}`,
    `--lc-messages-dir=${join(tree, 'usr/share/mysql')}`,
    `--plugin-dir=${join(tree, 'usr/lib/mysql/plugin')}`,
    '--innodb-buffer-pool-size=32M',
    '--innodb-log-file-size=16M',
  ];
  await bootstrap(file, base, { data, password, identity });
  const port = await freePort();
  const address = { host: '127.0.0.1', port, user: 'larder', password, database: 'shop' };
  const server = [
    ...base,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    `--socket=${join(data, 'm.sock')}`,
    `--pid-file=${join(data, 'm.pid')}`,
    '--server-id=1',
    `--log-bin=${join(data, 'binlog')}`,
    '--binlog-format=ROW',
    '--performance-schema=OFF',
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
  ];
  let child: ChildProcess;
  const logPath = join(folder, 'log');
  const start = async (): Promise<void> => {
    const log = await open(logPath, 'a');
    child = spawn(file, server, { ...identity, cwd: '/', stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    await waitFor(
      async () => {
        if (child.exitCode !== null) return 'ended';
        const connection = await mysql.createConnection(address);
        await connection.end();
        return 'answers';
      },
      () => true,
      { what: 'MariaDB to answer' },
    );
    if (child.exitCode !== null)
      throw new Error(`MariaDB did not start:\n${(await readFile(logPath, 'utf8')).slice(-2_000)}`);
  };
  const end = (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    return gone;
  };
  await start();
  return {
    address,
    kill: () => end('SIGKILL'),
    restart: start,
    async remove() {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

/** MariaDB refuses to run as root. */
async function unprivileged(): Promise<Identity> {
  if (process.getuid?.() !== 0) return {};
  const fields = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .find((line) => line.startsWith('nobody:'))
    ?.split(':');
  if (fields === undefined) throw new Error('This machine has no user "nobody" to run MariaDB as.');
  return { uid: Number(fields[2]), gid: Number(fields[3]) };
}

/** What mariadb-install-db does: the system tables, then an account of ours. */
async function bootstrap(
  file: string,
  base: readonly string[],
  {
    data,
    password,
    identity,
  }: { readonly data: string; readonly password: string; readonly identity: Identity },
): Promise<void> {
  const scripts = await Promise.all(
    ['mysql_system_tables.sql', 'mysql_performance_tables.sql', 'mysql_system_tables_data.sql'].map((name) =>
      readFile(join(tree, 'usr/share/mysql', name), 'utf8'),
    ),
  );
  const sql = [
    'CREATE DATABASE mysql;',
    'USE mysql;',
    ...scripts,
    'FLUSH PRIVILEGES;',
    `CREATE USER larder@'%' IDENTIFIED BY '${password}';`,
    "GRANT ALL PRIVILEGES ON *.* TO larder@'%' WITH GRANT OPTION;",
    'CREATE DATABASE shop;',
  ].join('\n');
  const path = join(data, '..', 'bootstrap.sql');
  await writeFile(path, `${sql}\n`, { mode: 0o600 });
  const input = await open(path, 'r');
  const child = spawn(file, [...base, '--bootstrap', '--skip-log-bin', '--skip-networking'], {
    ...identity,
    cwd: '/',
    stdio: [input.fd, 'ignore', 'pipe'],
  });
  let problem = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    problem = (problem + chunk.toString()).slice(-4_000);
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  await input.close();
  if (code !== 0) throw new Error(`MariaDB could not set up its folder:\n${problem}`);
}
