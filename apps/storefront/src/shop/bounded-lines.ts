/** Splits bytes into lines without ever holding more than one bounded line. */

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its line end; undefined when the line is longer than allowed. */
  readonly bytes: Uint8Array | undefined;
}

const lineFeed = 10;
const carriageReturn = 13;

/** Ends of line are LF or CR LF. A last line without an end counts; an empty end does not. */
export async function* boundedLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  longestBytes: number,
): AsyncGenerator<Line> {
  let number = 1;
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  let tooLong = false;

  function keep(part: Uint8Array): void {
    keptBytes += part.length;
    if (keptBytes > longestBytes) {
      tooLong = true;
      kept = [];
    }
    if (!tooLong && part.length > 0) kept.push(part);
  }
  function take(): Line {
    const whole = kept.length === 1 ? kept[0]! : Buffer.concat(kept);
    const bytes = whole.at(-1) === carriageReturn ? whole.subarray(0, -1) : whole;
    const line = { number, bytes: tooLong ? undefined : bytes };
    number += 1;
    kept = [];
    keptBytes = 0;
    tooLong = false;
    return line;
  }

  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      keep(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (keptBytes > 0) yield take();
}
