/** One process of a kind per data directory. */
import { createHash, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

export class AlreadyRuns extends Error {
  override name = 'AlreadyRuns';
}

/** Taken for as long as this process lives. @throws AlreadyRuns when another one has it. */
export async function lockProcess(kind: 'router' | 'guard', dataDirectory: string): Promise<Server> {
  // A name in the kernel, not in the file system: it goes with its process, however that ends. The secret in it
  // keeps others on the machine from taking it first.
  const secretFile = join(dataDirectory, `${kind}.id`);
  const name = createHash('sha256').update(readOrMake(secretFile)).digest('hex');
  return new Promise((resolve, reject) => {
    const lock = createServer((socket) => socket.destroy());
    lock.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' ? new AlreadyRuns(`A ${kind} serves ${dataDirectory} already.`) : error,
      ),
    );
    lock.listen(`\0larder-${kind}-${name}`, () => resolve(lock));
  });
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
