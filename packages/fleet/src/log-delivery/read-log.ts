/** Reads a delivered log from where it was read to, over the moment in which it is put aside. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type LogSource, type LogType, logPath } from './log-stream.ts';

export interface LogFile {
  readonly destination: string;
  readonly logType: LogType;
}

export interface LogPosition {
  /** Of the file, whatever it is called by now. */
  readonly inode: number;
  readonly nextByte: number;
}

export interface LogChunk {
  readonly lines: readonly string[];
  /** `null` while there is nothing that was ever delivered. */
  readonly position: LogPosition | null;
  /** There is more to read now. */
  readonly more: boolean;
}

const bytesAtOnce = 256 * 1024;

/** @param directory holds a folder for each destination. */
export async function readLog(
  directory: string,
  source: LogSource,
  { destination, logType }: LogFile,
  position: LogPosition | null,
): Promise<LogChunk> {
  const path = join(directory, logPath(destination, source, logType));
  // The current one first: what is put aside between the two is then found by neither, and read the next time.
  const current = await openIfThere(path);
  const before = await openIfThere(`${path}.1`);
  try {
    const files = (
      await Promise.all(
        [before, current]
          .filter((file) => file !== undefined)
          .map(async (file) => ({ file, ...(await whereAndSize(file)) })),
      )
    ).filter(({ inode }, index, all) => all.findIndex((each) => each.inode === inode) === index);
    const known = files.findIndex(({ inode }) => inode === position?.inode);
    // One that is gone was put aside twice: what there is comes after it.
    const from = Math.max(0, known);
    for (const [index, { file, inode, sizeBytes }] of files.entries()) {
      if (index < from) continue;
      const wanted = index === known ? position!.nextByte : 0;
      const fromByte = wanted > sizeBytes ? 0 : wanted;
      const last = index === files.length - 1;
      const { lines, nextByte, full } = await readLines(file, fromByte);
      if (lines.length === 0 && !last) continue;
      return { lines, position: { inode, nextByte }, more: full || !last };
    }
    return { lines: [], position, more: false };
  } finally {
    await before?.close();
    await current?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function whereAndSize(file: FileHandle): Promise<{ inode: number; sizeBytes: number }> {
  const { ino, size } = await file.stat();
  return { inode: ino, sizeBytes: size };
}

/** A last line without its end is still being written. */
async function readLines(
  file: FileHandle,
  fromByte: number,
): Promise<{ lines: string[]; nextByte: number; full: boolean }> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytesAtOnce), 0, bytesAtOnce, fromByte);
  const newline = buffer.subarray(0, bytesRead).lastIndexOf(0x0a);
  const length = newline === -1 && bytesRead === bytesAtOnce ? bytesRead : newline + 1;
  const text = buffer.subarray(0, length).toString();
  return {
    lines: text.split('\n').filter((line) => line !== ''),
    nextByte: fromByte + length,
    full: bytesRead === bytesAtOnce,
  };
}
