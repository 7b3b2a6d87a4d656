/** (pure) Lines that an engine prints, and the lines a delivered log has of them. */
import type { LogFormat, LogSource } from './log-stream.ts';

export interface EngineLine {
  readonly message: string;
  /** Missing for a line that no line with a heading came before. */
  readonly heading?: Heading;
}

interface Heading {
  /** M primary, S replica, C a child that saves, X sentinel. */
  readonly role: string;
  readonly timeMs: number;
  readonly level: '.' | '-' | '*' | '#';
}

const levelNames = { '.': 'DEBUG', '-': 'VERBOSE', '*': 'NOTICE', '#': 'WARNING' } as const;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const headed = /^\d+:([XCSM]) (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)\.(\d{3}) ([.\-*#]) (.*)$/;

/**
 * `pid:role date level message`, its time being local. A line without that (a banner, a crash report) is taken to be
 * of the line before it.
 */
export function parseEngineLog(text: string): EngineLine[] {
  let heading: Heading | undefined;
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .map((line): EngineLine => {
      const found = headed.exec(line);
      if (found === null) return { message: line, ...(heading !== undefined && { heading }) };
      const [day, year, hour, minute, second, ms] = [2, 4, 5, 6, 7, 8].map((index) => Number(found[index]));
      const at = new Date(year!, months.indexOf(found[3]!), day!, hour!, minute!, second!, ms!);
      heading = { role: found[1]!, timeMs: at.getTime(), level: found[9] as Heading['level'] };
      return { message: found[10]!, heading };
    });
}

/** One line, without its end. */
export function formatEngineLine(
  { message, heading }: EngineLine,
  { clusterId, cacheNodeId }: LogSource,
  format: LogFormat,
): string {
  if (format === 'text') {
    const from = `${clusterId}/${cacheNodeId}`;
    if (heading === undefined) return `${from} ${message}`;
    return `${from}:${heading.role} ${utc(heading.timeMs)} ${heading.level} ${message}`;
  }
  return JSON.stringify({
    CacheClusterId: clusterId,
    CacheNodeId: cacheNodeId,
    ...(heading !== undefined && {
      LogLevel: levelNames[heading.level],
      Role: heading.role,
      Time: utc(heading.timeMs),
    }),
    Message: message,
  });
}

/** `29 Oct 2030 20:12:20.499 UTC` */
function utc(timeMs: number): string {
  const [year, month, rest] = new Date(timeMs).toISOString().split('-') as [string, string, string];
  const [day, time] = rest.split('T') as [string, string];
  return `${day} ${months[Number(month) - 1]} ${year} ${time.replace('Z', '')} UTC`;
}
