/**
 * Runs one PostgreSQL server for the scenario and for tests: on loopback only, with a password, as an
 * unprivileged user when we are root (PostgreSQL refuses to run as root).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chown, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import type { PostgresBinaries } from './binaries.ts';

const run = promisify(execFile);

/** What `pg.Client` and `pg.Pool` take. The password is never part of a URL. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface PostgresServer {
  readonly address: PostgresAddress;
  readonly pid: number;
  /** Stops it in an orderly way: clients are cut off, nothing committed is lost. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster, as a crash; its children notice and end. */
  kill(): Promise<void>;
}

export interface StartPostgres {
  readonly binaries: PostgresBinaries;
  /** Created and initialised when it is empty. */
  readonly dataDirectory: string;
  /** Added to the command line as `-c name=value`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

const startTimeoutMs = 60_000;

/**
 * Starts a server on `dataDirectory`, initialising it first when needed; one left running there by an
 * earlier run is stopped first. Waits until it answers.
 */
export async function startPostgres(options: StartPostgres): Promise<PostgresServer> {
  const { binaries, dataDirectory } = options;
  const identity = await unprivilegedIdentity();
  const password = await initialise(binaries, dataDirectory, identity);
  await stopLeftover(dataDirectory);
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    wal_level: 'logical',
    max_replication_slots: 20,
    max_wal_senders: 20,
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const logPath = `${dataDirectory}.log`;
  const log = await open(logPath, 'a');
  const child = spawn(join(binaries.binDirectory, 'postgres'), ['-D', dataDirectory, ...args], {
    ...identity,
    cwd: '/',
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  const address = { host: '127.0.0.1', port, user: 'larder', password, database: 'postgres' };
  await untilReady(child, address, logPath);
  return {
    address,
    pid: child.pid!,
    stop: () => end(child, 'SIGINT'),
    kill: () => end(child, 'SIGKILL'),
  };
}

interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

async function unprivilegedIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return {};
  const passwd = await readFile('/etc/passwd', 'utf8');
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(
    'PostgreSQL does not run as root and this machine has neither a user "postgres" nor "nobody". ' +
      'Run this command as an ordinary user.',
  );
}

async function initialise(
  binaries: PostgresBinaries,
  dataDirectory: string,
  identity: Identity,
): Promise<string> {
  const passwordPath = `${dataDirectory}.password`;
  const complete = await access(`${dataDirectory}/larder-initialised`).then(
    () => true,
    () => false,
  );
  if (complete) return readFile(passwordPath, 'utf8');

  await rm(dataDirectory, { recursive: true, force: true });
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const password = randomBytes(18).toString('base64url');
  await writeFile(passwordPath, password, { mode: 0o600 });
  if (identity.uid !== undefined) {
    await chown(dataDirectory, identity.uid, identity.gid!);
    await chown(passwordPath, identity.uid, identity.gid!);
  }
  await run(
    join(binaries.binDirectory, 'initdb'),
    ['-D', dataDirectory, '-U', 'larder', '-A', 'scram-sha-256', `--pwfile=${passwordPath}`].concat([
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ]),
    { ...identity, cwd: '/' },
  );
  await writeFile(`${dataDirectory}/larder-initialised`, '');
  return password;
}

async function stopLeftover(dataDirectory: string): Promise<void> {
  const pidFile = join(dataDirectory, 'postmaster.pid');
  const text = await readFile(pidFile, 'utf8').catch(() => undefined);
  const pid = Number(text?.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  // A pid alone proves nothing after a reboot: only a process that names this directory is ours.
  if (!command.includes(dataDirectory)) return;
  process.kill(pid, 'SIGINT');
  for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 50) {
    if (!(await readFile(pidFile, 'utf8').catch(() => undefined))) return;
    await sleep(50);
  }
  process.kill(pid, 'SIGQUIT');
}

async function untilReady(child: ChildProcess, address: PostgresAddress, logPath: string): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const client = new pg.Client({ ...address, connectionTimeoutMillis: 2_000 });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      last = error;
      await client.end().catch(() => {});
      await sleep(25);
    }
  }
  if (child.exitCode === null) child.kill('SIGKILL');
  const log = await readFile(logPath, 'utf8').catch(() => '');
  throw new Error(`PostgreSQL did not start. Its log ends with:\n${log.slice(-2_000)}`, { cause: last });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  // The orderly stop waits for a checkpoint; a server that hangs in it is cut off.
  const timer = setTimeout(() => child.kill('SIGQUIT'), 20_000);
  await ended;
  clearTimeout(timer);
}

/** A port below 32768: those above are handed out to outgoing connections and may be taken at any time. */
export async function freePort(lowest = 20_000, highest = 31_999): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if ((await canListen(port)) && !(await answers(port))) return port;
  }
  throw new Error(`No free port between ${lowest} and ${highest} on 127.0.0.1 after 200 tries.`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
