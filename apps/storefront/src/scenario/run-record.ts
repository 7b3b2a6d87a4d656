/**
 * Who runs on this data directory: the scenario's own process and all that it started, in one small file. A
 * second scenario is refused while the first lives; what a killed one left behind is ended by the next.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface RecordedProcess {
  readonly name: string;
  readonly pid: number;
  readonly startTime: string;
}

interface RunFile {
  readonly scenario: RecordedProcess;
  readonly children: readonly RecordedProcess[];
}

export class AlreadyRunning extends Error {
  override name = 'AlreadyRunning';
}

export interface RunRecord {
  /** Names of what an earlier, killed scenario had left running and was ended. */
  readonly endedLeftovers: readonly string[];
  started(process: { name: string; pid: number; startTime: string | undefined }): Promise<void>;
  ended(pid: number): Promise<void>;
  /** After everything stopped. */
  remove(): Promise<void>;
}

const endGraceMs = 3_000;

/** @throws AlreadyRunning naming the process to stop. */
export async function openRunRecord(directory: string): Promise<RunRecord> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, 'running.json');
  const earlier = await readRunFile(path);
  if (earlier !== undefined && (await isAlive(earlier.scenario))) {
    throw new AlreadyRunning(
      `Another flash sale is running on ${directory} (process ${earlier.scenario.pid}). ` +
        'Stop it with Ctrl-C where it was started, or set LARDER_DATA_DIR to another directory.',
    );
  }
  const endedLeftovers: string[] = [];
  for (const leftover of earlier?.children ?? []) {
    if (await endLeftover(leftover)) endedLeftovers.push(leftover.name);
  }

  const scenario = {
    name: 'scenario',
    pid: process.pid,
    startTime: (await processStartTime(process.pid)) ?? '',
  };
  const children = new Map<number, RecordedProcess>();
  let writing: Promise<void> = Promise.resolve();
  let removed = false;
  function write(): Promise<void> {
    writing = writing.then(async () => {
      if (removed) return;
      const text = JSON.stringify({ scenario, children: [...children.values()] } satisfies RunFile, null, 2);
      // Renamed into place, so that a kill in between leaves the old list and not half a new one.
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    });
    return writing;
  }
  await write();

  return {
    endedLeftovers,
    async started({ name, pid, startTime }) {
      if (startTime === undefined) return;
      children.set(pid, { name, pid, startTime });
      await write();
    },
    async ended(pid) {
      if (children.delete(pid)) await write();
    },
    async remove() {
      removed = true;
      await writing;
      await rm(path, { force: true });
    },
  };
}

/** Undefined when there is no such process. With the pid it names one process for good, on every system. */
export async function processStartTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat !== undefined) {
    // The name in parentheses may hold spaces; the 20th field after it is the start, in ticks since boot.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  }
  if (process.platform === 'linux') return undefined;
  const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.trim() === '' ? undefined : stdout.trim();
}

async function readRunFile(path: string): Promise<RunFile | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RunFile;
  } catch {
    return undefined;
  }
}

async function isAlive(recorded: RecordedProcess): Promise<boolean> {
  return (await processStartTime(recorded.pid)) === recorded.startTime;
}

async function endLeftover(leftover: RecordedProcess): Promise<boolean> {
  if (!(await isAlive(leftover))) return false;
  process.kill(leftover.pid, 'SIGTERM');
  const deadline = performance.now() + endGraceMs;
  while (performance.now() < deadline) {
    if (!(await isAlive(leftover))) return true;
    await sleep(20);
  }
  process.kill(leftover.pid, 'SIGKILL');
  return true;
}
