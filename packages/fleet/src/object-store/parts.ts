/** How much data goes up in parts: S3 takes at most 10,000, each of at least 5 MiB but the last. */
const leastPartBytes = 8 * 2 ** 20;
const mostParts = 9_000;

export function partBytesOf(sizeBytes: number, partBytes = leastPartBytes): number {
  return Math.max(partBytes, Math.ceil(sizeBytes / mostParts));
}

/** The same bytes, in pieces of that size; the last may be smaller. One piece is in memory at a time. */
export async function* inParts(source: AsyncIterable<Buffer>, partBytes: number): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (waitingBytes + rest.length >= partBytes) {
      const taken = partBytes - waitingBytes;
      yield Buffer.concat([...waiting, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      waiting = [];
      waitingBytes = 0;
    }
    if (rest.length > 0) waiting.push(rest);
    waitingBytes += rest.length;
  }
  if (waitingBytes > 0) yield Buffer.concat(waiting);
}
