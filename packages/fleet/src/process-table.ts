/** What /proc says about one process. Linux only. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { DeathEvidence, Incarnation } from './host.ts';

/** PF_EXITING of the kernel's sched.h: the task has begun to exit and never runs user code again. */
const exitingFlag = 0x4;

export interface ProcessStat {
  readonly state: string;
  /** The session it belongs to, named by its first process. */
  readonly session: number;
  readonly flags: number;
  /** In its own code and in the kernel. Counted in hundredths of a second. */
  readonly cpuMs: number;
  readonly startTicks: number;
  /** Pages that had to be read from a disk. */
  readonly majorFaults: number;
  /** In memory; of a process that is exiting nothing may be counted any more. */
  readonly residentPages: number;
}

/** What the kernel tells user programs by is always hundredths of a second. */
const msPerTick = 10;

/** (pure) Fields 3, 6, 9, 12, 14, 15, 22 and 24 of a stat file. The name in field 2 may contain anything, `)` too. */
export function parseStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[19]);
  if (fields[0] === undefined || !Number.isFinite(startTicks)) return undefined;
  return {
    state: fields[0],
    session: Number(fields[3]),
    flags: Number(fields[6]),
    majorFaults: Number(fields[9]),
    cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick,
    startTicks,
    residentPages: Number(fields[21]),
  };
}

export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A process's stat file kept open: read again and again it costs a third. It stays that process's, whoever gets its pid. */
export interface StatFile {
  /** Undefined when the process is gone. */
  read(): ProcessStat | undefined;
  /** The most that was read: what the kernel has to free when it ends. */
  readonly mostPages: number;
  close(): void;
}

const statBuffer = Buffer.alloc(4_096);

/** Undefined when there is no such process. */
export function openStat(pid: number): StatFile | undefined {
  let file: number | undefined;
  try {
    file = openSync(`/proc/${pid}/stat`, 'r');
  } catch {
    return undefined;
  }
  let mostPages = 0;
  return {
    read() {
      try {
        const bytes = readSync(file!, statBuffer, 0, statBuffer.length, 0);
        const stat = parseStat(statBuffer.toString('utf8', 0, bytes));
        mostPages = Math.max(mostPages, stat?.residentPages ?? 0);
        return stat;
      } catch {
        return undefined;
      }
    },
    get mostPages() {
      return mostPages;
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

/** Of that run's first thread, without what its others use; undefined when it is over. */
export function readMainThread({ pid, startTicks }: Incarnation): ProcessStat | undefined {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8'));
    return stat?.startTicks === startTicks ? stat : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether that run of the process is over, and how we know; undefined while it lives.
 *
 * The kernel frees a big process's memory before its parent or its peers hear of the death (over 100 ms per
 * GB); the exiting flag is there after a few milliseconds at any size. All tasks must carry it: a thread
 * that has not begun to exit could still answer a client.
 *
 * @param file of its pid, opened before.
 */
export function deathOf(incarnation: Incarnation, file?: StatFile): DeathEvidence | undefined {
  const stat = file === undefined ? readStat(incarnation.pid) : file.read();
  if (stat === undefined || stat.startTicks !== incarnation.startTicks) return 'gone';
  if (stat.state === 'Z' || stat.state === 'X') return 'gone';
  if ((stat.flags & exitingFlag) === 0) return undefined;
  return everyTaskExits(incarnation.pid) ? 'exiting' : undefined;
}

/**
 * Has what is left of a process that is exiting wait for those who take over from it: the kernel frees its memory in its
 * own tasks' time. Where that is not allowed nothing happens.
 */
export function yieldToOthers(pid: number): void {
  try {
    for (const task of readdirSync(`/proc/${pid}/task`))
      setPriority(Number(task), constants.priority.PRIORITY_LOW);
  } catch {
    // It is over already, or somebody else's.
  }
}

function everyTaskExits(pid: number): boolean {
  let tasks: string[];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch {
    return true;
  }
  return tasks.every((task) => {
    try {
      const stat = parseStat(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'));
      return stat === undefined || stat.state === 'Z' || (stat.flags & exitingFlag) !== 0;
    } catch {
      return true;
    }
  });
}

/**
 * Processes with a session of their own, as engines are started, and an argument that begins with `prefix`. Somebody
 * who reads a node's log has its path on the command line too, but not a session for that. Reads the whole table:
 * at start only.
 */
export function sessionsNaming(prefix: string): { incarnation: Incarnation; words: readonly string[] }[] {
  const found: { incarnation: Incarnation; words: readonly string[] }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (!words.some((word) => word.startsWith(prefix))) continue;
      const pid = Number(name);
      const stat = readStat(pid);
      if (stat?.session === pid) found.push({ incarnation: { pid, startTicks: stat.startTicks }, words });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** The hard limit of open files of this process, which those it starts inherit. */
export function openFilesLimit(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return line?.[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(line?.[1] ?? 1_024);
}
