/** (pure) Entries of an engine's slow log, and the lines a delivered log has of them. */
import type { LogFormat, LogSource } from './log-stream.ts';

export interface SlowEntry {
  /** Rises by one with each entry of one run of the engine. */
  readonly id: number;
  readonly timestampSeconds: number;
  readonly durationUs: number;
  /** The command's name and how many arguments it had: what they were may be customers' data. */
  readonly command: string;
  readonly clientAddress: string;
  readonly clientName: string;
}

/** The engine keeps this many words of a command; the last then says how many there were more. */
const keptWords = 32;

/** @param reply of `SLOWLOG GET`. @returns the oldest first. */
export function parseSlowLog(reply: unknown): SlowEntry[] {
  const entries = reply as [number, number, number, string[], string?, string?][];
  return entries
    .map(
      ([id, timestampSeconds, durationUs, words, clientAddress = '', clientName = '']): SlowEntry => ({
        id,
        timestampSeconds,
        durationUs,
        command: withoutArguments(words),
        clientAddress,
        clientName,
      }),
    )
    .sort((a, b) => a.id - b.id);
}

function withoutArguments([name = '', ...args]: readonly string[]): string {
  if (args.length === 0) return name;
  const cut = args.length === keptWords - 1 ? /^\.\.\. \((\d+) more arguments\)$/.exec(args.at(-1)!) : null;
  const count = cut === null ? args.length : args.length - 1 + Number(cut[1]);
  return `${name} ... (${count} more arguments)`;
}

/** One line, without its end. */
export function formatSlowEntry(
  entry: SlowEntry,
  { clusterId, cacheNodeId }: LogSource,
  format: LogFormat,
): string {
  const { id, timestampSeconds, durationUs, command, clientAddress, clientName } = entry;
  if (format === 'text') {
    return [clusterId, cacheNodeId, id, timestampSeconds, durationUs, command, clientAddress, clientName]
      .join(',')
      .replaceAll(/[\r\n]/g, ' ');
  }
  return JSON.stringify({
    CacheClusterId: clusterId,
    CacheNodeId: cacheNodeId,
    Id: id,
    Timestamp: timestampSeconds,
    'Duration (us)': durationUs,
    Command: command,
    ClientAddress: clientAddress,
    ClientName: clientName,
  });
}
