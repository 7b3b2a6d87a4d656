/** Faults of the machine: no processor time, no room on the disk. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { nowMs } from '../../bench/monotonic.ts';
import { endProcess } from '../../testing/engine-processes.ts';
import { type LarderStage, larderStage } from './larder-stage.ts';
import type { Fault } from './stage.ts';

const run = promisify(execFile);
/** Of each core. */
const busyPerCore = 3;

/** The primary dies while others want the processors as much as we do. */
export const starvedAndPrimaryKilled: Fault = {
  async inject(_, primary) {
    const busy = Array.from({ length: cpus().length * busyPerCore }, () =>
      spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' }),
    );
    await sleep(500);
    const atMs = nowMs();
    endProcess(primary.pid()!);
    return { atMs, undo: () => endAll(busy) };
  },
};

async function endAll(children: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    children.map((child) => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      return gone;
    }),
  );
}

export interface SmallDiskStage extends LarderStage {
  readonly disk: string;
}

/** With a disk of its own, in memory. Needs root. */
export async function smallDiskStage(sizeMiB = 64): Promise<SmallDiskStage> {
  const disk = await mkdtemp(join(tmpdir(), 'larder-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', disk]);
  const unmount = async () => {
    await run('umount', ['-l', disk]);
    await rm(disk, { recursive: true, force: true });
  };
  try {
    const stage = await larderStage({ replicas: 2, service: { parentFolder: disk } });
    return {
      ...stage,
      disk,
      async close() {
        await stage.close();
        await unmount();
      },
    };
  } catch (error) {
    await unmount();
    throw error;
  }
}

/** Nothing more can be written; the primary dies too when `kill` says so. */
export function diskFull(kill: boolean): Fault<SmallDiskStage> {
  return {
    async inject({ disk }, primary) {
      const filling = join(disk, 'filling');
      const undo = () => rm(filling, { force: true });
      try {
        await fill(filling);
        if (kill) endProcess(primary.pid()!);
        return { undo };
      } catch (error) {
        await undo();
        throw error;
      }
    },
  };
}

async function fill(file: string): Promise<void> {
  for (const size of [1 << 20, 1 << 12]) {
    const chunk = Buffer.alloc(size, 1);
    for (;;) {
      const full = await writeFile(file, chunk, { flag: 'a' }).then(
        () => false,
        (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOSPC') throw error;
          return true;
        },
      );
      if (full) break;
    }
  }
}
