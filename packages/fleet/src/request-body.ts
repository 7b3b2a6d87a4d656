/** Request bodies of our own HTTP servers, never longer than they may be. */
import type { IncomingMessage } from 'node:http';

/** @throws what `tooLong` makes, as soon as there are more than `maxBytes`. */
export async function bodyText(
  request: IncomingMessage,
  maxBytes: number,
  tooLong: () => Error,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
