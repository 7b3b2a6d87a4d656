/** (pure) When a delivered line happened, in either of its formats. */
import type { LogType } from '@larder/fleet/log-delivery/log-stream';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const engineTime = /\b(\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)\.(\d{3}) UTC\b/;

/** @returns milliseconds since 1970, undefined for a line that does not say. */
export function lineTimeMs(line: string, logType: LogType): number | undefined {
  if (logType === 'slow-log') {
    // Its JSON, or the fourth value between commas: seconds.
    const seconds =
      /^\{.*?"Timestamp":(\d{1,12})[,}]/.exec(line)?.[1] ?? /^[^,{]*,[^,]*,\d+,(\d{1,12}),/.exec(line)?.[1];
    return seconds === undefined ? undefined : Number(seconds) * 1_000;
  }
  const found = engineTime.exec(line);
  if (found === null) return undefined;
  const [day, year, hour, minute, second, ms] = [1, 3, 4, 5, 6, 7].map((index) => Number(found[index]));
  return Date.UTC(year!, months.indexOf(found[2]!), day!, hour!, minute!, second!, ms!);
}
