/**
 * Which uploads in parts a host began, on disk: after a crash their parts still lie in the bucket, are paid for and shown
 * by nobody, until they are taken away by the upload's id.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectPlace } from './object-store.ts';

export interface UploadRecords {
  begun(place: ObjectPlace, uploadId: string): Promise<void>;
  /** The id of one that was begun and did not end, as far as is known. */
  open(place: ObjectPlace): Promise<string | undefined>;
  ended(place: ObjectPlace): Promise<void>;
}

export function uploadRecords(directory: string): UploadRecords {
  const fileOf = ({ bucket, key }: ObjectPlace) =>
    join(directory, createHash('sha256').update(`${bucket}/${key}`).digest('hex').slice(0, 40));
  return {
    async begun(place, uploadId) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeFile(`${fileOf(place)}.partial`, uploadId, { mode: 0o600, flush: true });
      await rename(`${fileOf(place)}.partial`, fileOf(place));
    },
    async open(place) {
      const text = await readFile(fileOf(place), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        return '';
      });
      return text === '' ? undefined : text;
    },
    ended: (place) => rm(fileOf(place), { force: true }),
  };
}
