/**
 * (pure) Puts answers of our own into the stream of a server's, each at its place. A client may send commands ahead of
 * their answers; where the answers to those before ours end, only the server knows. So it is sent a command, a fence, to
 * which it gives an answer that nothing else contains, and that answer is replaced.
 */
export class FenceScanner {
  readonly #waiting: { readonly mark: Buffer; readonly answer: Buffer }[] = [];
  #kept: Buffer = Buffer.alloc(0);

  /** Fences that were not answered yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @param mark the server's answer to the fence that is sent now. */
  expect(mark: Buffer, answer: Buffer): void {
    this.#waiting.push({ mark, answer });
  }

  /** What the client is sent for a chunk of the server's. Less than a mark's length is kept for the next one. */
  feed(chunk: Buffer): Buffer[] {
    let rest = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = Buffer.alloc(0);
    const pieces: Buffer[] = [];
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      const at = rest.indexOf(next.mark);
      if (at === -1) {
        const keep = overlap(rest, next.mark);
        this.#kept = Buffer.from(rest.subarray(rest.length - keep));
        rest = rest.subarray(0, rest.length - keep);
        break;
      }
      this.#waiting.shift();
      pieces.push(rest.subarray(0, at), next.answer);
      rest = rest.subarray(at + next.mark.length);
    }
    return [...pieces, rest].filter((piece) => piece.length > 0);
  }
}

/** How many bytes at the end of `bytes` could be the mark's beginning. */
function overlap(bytes: Buffer, mark: Buffer): number {
  let length = Math.min(bytes.length, mark.length - 1);
  while (length > 0 && !bytes.subarray(bytes.length - length).equals(mark.subarray(0, length))) length -= 1;
  return length;
}
