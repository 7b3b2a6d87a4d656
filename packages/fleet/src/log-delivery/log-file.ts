/**
 * A log that something is delivered to, each piece once: how far its source was read, and what was read last, are
 * written down together before the piece is appended. Whatever a crash cuts off is done again, from the same byte.
 */
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A log that would become longer is put aside as `<name>.1`, in the place of the one that was there. */
const longestLogBytes = 16 * 1024 * 1024;

interface Cursor<Position> {
  readonly position: Position;
  /** Missing once it is in the log. */
  readonly piece?: Piece;
}

interface Piece {
  readonly file: string;
  readonly fromByte: number;
  readonly text: string;
}

/** Makes the log unless it is there, with its folders: for their owner only. */
export async function createLog(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await (await open(file, 'a', 0o600)).close();
}

/** Finishes what a crash or a full disk cut off, then tells how far the source was read. */
export async function readPosition<Position>(
  cursorFile: string,
  file: string,
): Promise<Position | undefined> {
  const cursor = await readCursor<Position>(cursorFile);
  if (cursor?.piece === undefined) return cursor?.position;
  const { position, piece } = cursor;
  // The destination may have been changed just because it could not be written to.
  if (piece.file !== file) await appendToLog(cursorFile, file, position, piece.text);
  else await finish(cursorFile, position, piece);
  return position;
}

/** @param position how far its source has been read with this text. */
export async function appendToLog<Position>(
  cursorFile: string,
  file: string,
  position: Position,
  text: string,
): Promise<void> {
  if (text === '') return writeCursor(cursorFile, { position });
  let { size } = await stat(file);
  if (size > 0 && size + Buffer.byteLength(text) > longestLogBytes) {
    await rename(file, `${file}.1`);
    size = 0;
  }
  const piece = { file, fromByte: size, text };
  await writeCursor(cursorFile, { position, piece });
  await finish(cursorFile, position, piece);
}

async function finish<Position>(
  cursorFile: string,
  position: Position,
  { file, fromByte, text }: Piece,
): Promise<void> {
  const log = await open(file, 'a', 0o600);
  try {
    if ((await log.stat()).size > fromByte) await log.truncate(fromByte);
    await log.writeFile(text);
  } finally {
    await log.close();
  }
  await writeCursor(cursorFile, { position });
}

async function readCursor<Position>(cursorFile: string): Promise<Cursor<Position> | undefined> {
  try {
    return JSON.parse(await readFile(cursorFile, 'utf8')) as Cursor<Position>;
  } catch (error) {
    // None yet; or cut off by a loss of power, which ended the engine's run and its slow log too.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Not waited for until it is on the disk itself: a crash of the service alone loses nothing. */
async function writeCursor(cursorFile: string, cursor: Cursor<unknown>): Promise<void> {
  await writeFile(`${cursorFile}.partial`, JSON.stringify(cursor), { mode: 0o600 });
  await rename(`${cursorFile}.partial`, cursorFile);
}
