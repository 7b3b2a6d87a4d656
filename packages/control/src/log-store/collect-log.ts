/** Takes what was delivered to a log over into the log store: each line once, from wherever the host has it. */
import type { Host } from '@larder/fleet/host';
import type { LogSource, LogType } from '@larder/fleet/log-delivery/log-stream';
import { lineTimeMs } from './line-time.ts';
import { appendEvents, insertGroup, insertStream, readStreamPosition } from './log-store.ts';
import type { LogDatabase } from './tables.ts';

/** A line that was delivered, as the service prints it. */
export interface DeliveredLine {
  readonly logGroup: string;
  readonly logStream: string;
  readonly timestamp: string;
  readonly message: string;
}

export interface CollectDeps {
  readonly logDatabase: LogDatabase;
  readonly host: Pick<Host, 'readLog'>;
  readonly nowMs: () => number;
  /** Set: told of each line, before it counts as read. */
  readonly print?: ((line: DeliveredLine) => void) | undefined;
}

/** `elasticache/valkey/shop-001/0001/slow-log`, as ElastiCache names it. */
export function streamName({ engine, clusterId, cacheNodeId }: LogSource, logType: LogType): string {
  return `elasticache/${engine}/${clusterId}/${cacheNodeId}/${logType}`;
}

/** @returns whether there is more now. */
export async function collectLog(
  { logDatabase, host, nowMs, print }: CollectDeps,
  source: LogSource,
  { destination: group, logType }: { readonly destination: string; readonly logType: LogType },
): Promise<boolean> {
  const stream = streamName(source, logType);
  const before = await readStreamPosition(logDatabase, group, stream);
  const { lines, position, more } = await host.readLog(source, { destination: group, logType }, before);
  if (position === null || (lines.length === 0 && JSON.stringify(position) === JSON.stringify(before)))
    return false;
  const now = nowMs();
  const events = lines.map((line) => ({ atMs: lineTimeMs(line, logType) ?? now, message: line }));
  for (const { atMs, message } of events) {
    print?.({ logGroup: group, logStream: stream, timestamp: new Date(atMs).toISOString(), message });
  }
  await logDatabase.transaction().execute(async (writer) => {
    await insertGroup(writer, group, now);
    await insertStream(writer, group, stream, now);
    await appendEvents(writer, group, stream, events, now, position);
  });
  return more;
}
