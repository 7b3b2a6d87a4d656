/** How far metrics were pushed, in a file: a push that was killed goes on from there. */
import { readFile, rename, writeFile } from 'node:fs/promises';

export interface PushPosition {
  /** Everything before it was pushed. */
  readonly startMs: number;
  /** Of what comes next, up to `endMs`, the first so many requests were. */
  readonly window?: { readonly endMs: number; readonly sent: number };
}

export interface PositionFile {
  read(): Promise<PushPosition | undefined>;
  write(position: PushPosition): Promise<void>;
}

/** @param destination as long as it is the same, a position holds. */
export function positionFile(file: string, destination: string): PositionFile {
  async function readAll(): Promise<Record<string, PushPosition>> {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as Record<string, PushPosition>;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      throw error;
    }
  }
  return {
    async read() {
      return (await readAll())[destination];
    },
    async write(position) {
      const all = { ...(await readAll()), [destination]: position };
      await writeFile(`${file}.partial`, JSON.stringify(all), { mode: 0o600 });
      await rename(`${file}.partial`, file);
    },
  };
}
