/** Delivers nodes' logs to files: what is new of each, once, in bounded pieces. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseInfo } from '@larder/engine/info';
import { ReplyError } from 'ioredis';
import { NodeUnreachable } from '../host.ts';
import { formatEngineLine, parseEngineLog } from './engine-log.ts';
import { appendToLog, createLog, readPosition } from './log-file.ts';
import { type LogFormat, type LogSource, type LogType, logPath } from './log-stream.ts';
import { formatSlowEntry, parseSlowLog } from './slow-log.ts';

const entriesAtOnce = 128;
/** The engine gives the newest only: of a longer backlog the oldest are left out. */
const longestBacklogEntries = 1_024;
const bytesAtOnce = 256 * 1024;

export interface LogTarget {
  readonly logType: LogType;
  readonly format: LogFormat;
  readonly destination: string;
  /** When it was turned on: what was logged before is not delivered. */
  readonly sinceMs: number;
}

export interface LogDelivered {
  readonly logType: LogType;
  /** There is more to deliver now. */
  readonly more: boolean;
  /** Why it could not be delivered; nothing is lost by that while its source has it. */
  readonly failure?: string;
}

/** The node as the host has it. */
export interface LoggingNode {
  readonly folder: string;
  /** @throws NodeUnreachable */
  readonly send: (commands: readonly (readonly string[])[]) => Promise<unknown[]>;
}

interface SlowPosition {
  readonly sinceMs: number;
  /** The run of the engine that counts. */
  readonly runId: string;
  readonly lastId: number;
}

interface EnginePosition {
  readonly sinceMs: number;
  readonly nextByte: number;
}

interface News<Position> {
  readonly lines: readonly string[];
  readonly position: Position;
  readonly more: boolean;
}

/** @param directory holds a folder for each destination. */
export function logDeliverer(directory: string) {
  /** Node id -> its delivery: a node that changes hands could be asked for by both for a moment. */
  const running = new Map<string, Promise<unknown>>();

  async function deliverOne(node: LoggingNode, source: LogSource, target: LogTarget): Promise<LogDelivered> {
    const { logType } = target;
    const path = logPath(target.destination, source, logType);
    const file = join(directory, path);
    // In the node's folder, so that it ends with the node and outlasts a change of the destination.
    const cursorFile = join(node.folder, `${logType}.cursor`);
    try {
      await createLog(file);
      const more =
        logType === 'slow-log'
          ? await append<SlowPosition>(cursorFile, file, (position) =>
              slowNews(node, source, target, position),
            )
          : await append<EnginePosition>(cursorFile, file, (position) =>
              engineNews(node, source, target, position),
            );
      return { logType, more };
    } catch (error) {
      const failure = failureOf(error as Error, path);
      return { logType, more: false, ...(failure !== undefined && { failure }) };
    }
  }

  return async (
    node: LoggingNode,
    source: LogSource,
    targets: readonly LogTarget[],
  ): Promise<LogDelivered[]> => {
    const before = running.get(source.nodeId);
    const mine = (async () => {
      await before?.catch(() => {});
      const delivered: LogDelivered[] = [];
      for (const target of targets) delivered.push(await deliverOne(node, source, target));
      return delivered;
    })();
    running.set(source.nodeId, mine);
    try {
      return await mine;
    } finally {
      if (running.get(source.nodeId) === mine) running.delete(source.nodeId);
    }
  };
}

async function append<Position>(
  cursorFile: string,
  file: string,
  read: (position: Position | undefined) => Promise<News<Position> | undefined>,
): Promise<boolean> {
  const news = await read(await readPosition<Position>(cursorFile, file));
  if (news === undefined) return false;
  await appendToLog(cursorFile, file, news.position, news.lines.map((line) => `${line}\n`).join(''));
  return news.more;
}

async function slowNews(
  { send }: LoggingNode,
  source: LogSource,
  { sinceMs, format }: LogTarget,
  position: SlowPosition | undefined,
): Promise<News<SlowPosition> | undefined> {
  const ask = async (count: number) => {
    const [reply, info] = await send([
      ['SLOWLOG', 'GET', String(count)],
      ['INFO', 'server'],
    ]);
    const { runId } = parseInfo(info as string);
    const lastId = position?.runId === runId ? position.lastId : -1;
    const fromSeconds = position?.sinceMs === sinceMs ? 0 : Math.floor(sinceMs / 1_000);
    const entries = parseSlowLog(reply).filter(
      ({ id, timestampSeconds }) => id > lastId && timestampSeconds >= fromSeconds,
    );
    return { runId, entries };
  };
  const first = await ask(entriesAtOnce);
  // None of them was delivered: there may be older ones.
  const { runId, entries } =
    first.entries.length === entriesAtOnce ? await ask(longestBacklogEntries) : first;
  const next = entries.slice(0, entriesAtOnce);
  const last = next.at(-1);
  if (last === undefined) return undefined;
  return {
    lines: next.map((entry) => formatSlowEntry(entry, source, format)),
    position: { sinceMs, runId, lastId: last.id },
    more: next.length < entries.length,
  };
}

async function engineNews(
  { folder }: LoggingNode,
  source: LogSource,
  { sinceMs, format }: LogTarget,
  position: EnginePosition | undefined,
): Promise<News<EnginePosition> | undefined> {
  const file = await open(join(folder, 'engine.log'), 'r');
  try {
    const { size } = await file.stat();
    const turnedOn = position?.sinceMs !== sinceMs;
    // Emptied by somebody: it begins anew.
    const known = position === undefined || position.nextByte > size ? 0 : position.nextByte;
    const fromByte = turnedOn ? Math.max(known, size - bytesAtOnce) : known;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytesAtOnce), 0, bytesAtOnce, fromByte);
    const full = bytesRead === bytesAtOnce;
    // The last line may still be being written, but one that fills the whole piece is taken as it is.
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(0x0a);
    const length = newline === -1 && full ? bytesRead : newline + 1;
    if (length === 0) return undefined;
    const lines = parseEngineLog(buffer.subarray(0, length).toString()).filter(
      ({ heading }) => !turnedOn || (heading !== undefined && heading.timeMs >= sinceMs),
    );
    return {
      lines: lines.map((line) => formatEngineLine(line, source, format)),
      position: { sinceMs, nextByte: fromByte + length },
      more: full,
    };
  } finally {
    await file.close();
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'it may not be written to',
  EPERM: 'it may not be written to',
  EROFS: 'it may not be written to',
  EEXIST: 'something that is no folder is in the way',
  ENOTDIR: 'something that is no folder is in the way',
  EISDIR: 'a folder is in the way',
  ENAMETOOLONG: 'its name is too long for the file system',
};

/** Undefined when the node is just not there to be asked. Messages are for customers: no path of this machine. */
function failureOf(error: Error, path: string): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof NodeUnreachable || code === 'ENOENT') return undefined;
  if (error instanceof ReplyError) {
    return error.message.startsWith('LOADING') ? undefined : 'The engine did not give its slow log.';
  }
  if (code === undefined) throw error;
  return `logs/${path} could not be written: ${reasons[code] ?? code}.`;
}
