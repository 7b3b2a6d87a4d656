/** Buckets of an S3-compatible service: what is asked of one, and how it says no. */

/** How one is reached. Goes to hosts with each order, and is kept nowhere there. */
export interface ObjectStoreAccess {
  /** Missing: Amazon's own, of the region. */
  readonly endpoint?: string;
  readonly region: string;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`. */
  readonly forcePathStyle: boolean;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

/** What is to be uploaded. */
export interface Content {
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** From its beginning, each time it is called. */
  read(): AsyncIterable<Buffer>;
}

/** The store answered, and asking again would not change it: no bucket, no object, no right, something else there. */
export class ObjectStoreRefused extends Error {
  override name = 'ObjectStoreRefused';
}

/** The store did not answer, or said that it can't now. */
export class ObjectStoreUnavailable extends Error {
  override name = 'ObjectStoreUnavailable';
}

export interface ObjectStore {
  /** @throws ObjectStoreRefused unless the bucket is there and may be used. */
  checkBucket(bucket: string): Promise<void>;
  /** Undefined when there is no such object. */
  sizeOf(place: ObjectPlace): Promise<number | undefined>;
  /**
   * Puts it there, in the place of what is there. It is there whole when this returns, proven by a digest of what the
   * store holds; otherwise nothing new is there, unless the store went away: then `abandon` takes away what was begun.
   * @param begun told the id of an upload in parts before the first part goes.
   */
  upload(
    place: ObjectPlace,
    content: Content,
    options: { readonly signal: AbortSignal; readonly begun: (uploadId: string) => Promise<void> },
  ): Promise<void>;
  /** Writes it to `target` (mode 0600), durably. A file that was begun may be left when it throws. */
  download(
    place: ObjectPlace,
    target: string,
    options: { readonly signal: AbortSignal; readonly maxBytes: number },
  ): Promise<void>;
  /** Takes away the parts of an upload that did not end. Repeatable. */
  abandon(place: ObjectPlace, uploadId: string): Promise<void>;
  /** Repeatable. */
  remove(place: ObjectPlace): Promise<void>;
  close(): void;
}

/** Of moving that much: a store that is slower than 1 MiB/s is not waited for. */
export function transferLimitMs(sizeBytes: number): number {
  return Math.min(longestTransferMs, 120_000 + Math.ceil(sizeBytes / 2 ** 20) * 1_000);
}
export const longestTransferMs = 60 * 60_000;
