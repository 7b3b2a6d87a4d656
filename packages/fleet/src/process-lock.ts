/** One process of a kind per data directory. */
import { createHash, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

export class AlreadyRuns extends Error {
  override name = 'AlreadyRuns';
}

type ProcessKind = 'router' | 'guard';

/** Taken for as long as this process lives. @throws AlreadyRuns when another one has it. */
export async function lockProcess(kind: ProcessKind, dataDirectory: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' ? new AlreadyRuns(`A ${kind} serves ${dataDirectory} already.`) : error,
      ),
    );
    lock.listen(lockName(kind, dataDirectory), () => resolve(lock));
  });
}

/** Whether some process has it. */
export function isLocked(kind: ProcessKind, dataDirectory: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lockName(kind, dataDirectory));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * A name in the kernel, not in the file system: it goes with its process, however that ends. The secret in it keeps
 * others on the machine from taking it first.
 */
function lockName(kind: ProcessKind, dataDirectory: string): string {
  const secret = readOrMake(join(dataDirectory, `${kind}.id`));
  return `\0larder-${kind}-${createHash('sha256').update(secret).digest('hex')}`;
}

function readOrMake(file: string): string {
  const mine = `${file}.${randomBytes(6).toString('hex')}`;
  writeFileSync(mine, randomBytes(16).toString('hex'), { mode: 0o600 });
  try {
    linkSync(mine, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(mine);
  }
  return readFileSync(file, 'utf8');
}
