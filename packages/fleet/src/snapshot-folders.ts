/**
 * Where a host keeps snapshots: a folder for each, with one file per shard. A file is there whole, checked and
 * synchronised to disk under its name, or not at all.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SnapshotDamaged, type SnapshotFile } from './host.ts';
import { type KeyOf, openSealedFile, readSealedFile, SealBroken, sealFile } from './sealed-file.ts';

/** No snapshot's name begins with a dot. */
const gravePrefix = '.removed-';

export interface KeptFile {
  readonly sizeBytes: number;
  /** Of the data itself, also where it is kept encrypted. */
  readonly sha256: string;
}

export interface SnapshotFolders {
  /** Moves a data file out of the way of the engine that wrote it; `keep` follows. @returns where it is now. */
  receive(file: SnapshotFile, source: string): Promise<string>;
  /** Where a data file from elsewhere is to be written; `keep` follows, or `drop`. */
  incoming(file: SnapshotFile): Promise<string>;
  /** Gives what was received a second name, on the same file system. */
  linkReceived(file: SnapshotFile, target: string): Promise<void>;
  /** Removes what was received and is not to be kept. */
  drop(file: SnapshotFile): Promise<void>;
  /** Makes what was received the file of that name, in the place of one that is there. */
  keep(file: SnapshotFile): Promise<KeptFile>;
  /** Writes it in plain to `target`. @throws SnapshotDamaged when it is not what was kept. */
  extract(file: SnapshotFile, sha256: string, target: string): Promise<void>;
  /** The kept data in plain, a piece at a time. @throws SnapshotDamaged, perhaps after some pieces. */
  read(file: SnapshotFile): AsyncIterable<Buffer>;
  /** All files of it under another name. Repeatable. */
  copy(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Clears away what a removal left half done. */
export async function snapshotFolders(directory: string, keyOf: KeyOf): Promise<SnapshotFolders> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    if (name.startsWith(gravePrefix)) await rm(join(directory, name), { recursive: true, force: true });
  }

  function folder(name: string): string {
    if (!/^[a-z][a-z0-9.-]{0,120}$/.test(name)) throw new Error(`${name} is no name of a snapshot.`);
    return join(directory, name);
  }
  const pathOf = ({ snapshot, shard, sealed }: SnapshotFile) =>
    join(folder(snapshot), `${shard}.rdb${sealed ? '.sealed' : ''}`);
  const receivedPath = ({ snapshot, shard }: SnapshotFile) => join(folder(snapshot), `${shard}.rdb.received`);

  return {
    async receive(file, source) {
      await mkdir(folder(file.snapshot), { recursive: true, mode: 0o700 });
      await rename(source, receivedPath(file));
      await chmod(receivedPath(file), 0o600);
      return receivedPath(file);
    },
    async incoming(file) {
      await mkdir(folder(file.snapshot), { recursive: true, mode: 0o700 });
      return receivedPath(file);
    },
    linkReceived: (file, target) => link(receivedPath(file), target),
    drop: (file) => rm(receivedPath(file), { force: true }),
    async keep(file) {
      const received = receivedPath(file);
      const { size: sizeBytes } = await stat(received);
      let sha256: string;
      if (file.sealed) {
        sha256 = await sealFile(received, `${pathOf(file)}.partial`, keyOf);
        await rename(`${pathOf(file)}.partial`, pathOf(file));
        await rm(received);
      } else {
        sha256 = await hashFile(received);
        await syncPath(received);
        await rename(received, pathOf(file));
      }
      await syncPath(folder(file.snapshot));
      await syncPath(directory);
      return { sizeBytes, sha256 };
    },
    async extract(file, sha256, target) {
      const found = await writePlain(file, target);
      if (found !== sha256) throw damaged(file, 'it is not what was saved');
    },
    async *read(file) {
      try {
        yield* file.sealed ? readSealedFile(pathOf(file), keyOf) : createReadStream(pathOf(file));
      } catch (cause) {
        throw explain(file, cause as Error);
      }
    },
    async copy(from, to) {
      const names = (await readdir(folder(from)).catch(() => [])).filter(isWhole);
      if (names.length === 0) throw new SnapshotDamaged(`Snapshot ${from} has no files.`);
      await mkdir(folder(to), { recursive: true, mode: 0o700 });
      for (const name of names) {
        const target = join(folder(to), name);
        await copyFile(join(folder(from), name), `${target}.partial`);
        await chmod(`${target}.partial`, 0o600);
        await syncPath(`${target}.partial`);
        await rename(`${target}.partial`, target);
      }
      await syncPath(folder(to));
      await syncPath(directory);
    },
    async remove(name) {
      // Renamed first: a crash in the middle leaves no half snapshot under its name.
      const grave = join(directory, `${gravePrefix}${name}-${Date.now()}`);
      await rename(folder(name), grave).catch(ignoreMissing);
      await rm(grave, { recursive: true, force: true });
    },
  };

  async function writePlain(file: SnapshotFile, target: string): Promise<string> {
    try {
      if (file.sealed) return await openSealedFile(pathOf(file), target, keyOf);
      await copyFile(pathOf(file), target);
      await chmod(target, 0o600);
      return await hashFile(target);
    } catch (cause) {
      throw explain(file, cause as Error);
    }
  }
}

function explain(file: SnapshotFile, cause: Error): Error {
  if (cause instanceof SealBroken) return damaged(file, 'it was changed or cut off', cause);
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return damaged(file, 'it is missing', cause);
  return cause;
}

function isWhole(name: string): boolean {
  return /^\d{4}\.rdb(\.sealed)?$/.test(name);
}

function damaged({ snapshot, shard }: SnapshotFile, why: string, cause?: unknown): SnapshotDamaged {
  return new SnapshotDamaged(`The file of shard ${shard} of snapshot ${snapshot} can't be used: ${why}.`, {
    cause,
  });
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Of a file or a folder. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path);
  await handle.sync();
  await handle.close();
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
