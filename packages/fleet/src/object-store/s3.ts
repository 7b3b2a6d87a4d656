/** An object store that speaks S3. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import {
  type Content,
  type ObjectPlace,
  type ObjectStore,
  type ObjectStoreAccess,
  ObjectStoreRefused,
  ObjectStoreUnavailable,
} from './object-store.ts';
import { inParts, partBytesOf } from './parts.ts';

const connectLimitMs = 3_000;
/** Without a byte either way. */
const silenceLimitMs = 15_000;
/** Of a question that moves no data, all its attempts together. */
const questionLimitMs = 20_000;
const attempts = 3;
const digestName = 'larder-sha256';

type Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Options {
  /** Of one part; uploads of more go in several. */
  readonly partBytes?: number;
  readonly questionLimitMs?: number;
}

/** The client is loaded when it is first needed: most services have no bucket. */
export async function s3ObjectStore(
  access: ObjectStoreAccess,
  options: S3Options = {},
): Promise<ObjectStore> {
  const sdk: Sdk = await import('@aws-sdk/client-s3');
  const client: S3Client = new sdk.S3Client({
    ...(access.endpoint !== undefined && { endpoint: access.endpoint }),
    region: access.region,
    forcePathStyle: access.forcePathStyle,
    credentials: access.credentials,
    maxAttempts: attempts,
    // Not every server knows the checksums that are newest at Amazon: digests are compared here.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectLimitMs,
      socketTimeout: silenceLimitMs,
      requestTimeout: silenceLimitMs,
      throwOnRequestTimeout: true,
    },
  });
  const limitMs = options.questionLimitMs ?? questionLimitMs;

  /** @throws ObjectStoreRefused, ObjectStoreUnavailable in the place of the client's errors */
  async function asking<T>(
    { bucket, key }: { readonly bucket: string; readonly key?: string },
    work: (abort: { readonly abortSignal: AbortSignal }) => Promise<T>,
    signal: AbortSignal = AbortSignal.timeout(limitMs),
  ): Promise<T> {
    try {
      return await work({ abortSignal: signal });
    } catch (error) {
      throw explain(error as Error, bucket, key);
    }
  }

  async function missing<T>(found: Promise<T>): Promise<T | undefined> {
    return found.catch((error: Error) => {
      if (statusOf(error.cause) === 404) return undefined;
      throw error;
    });
  }

  /** Of what the store holds: its own digest where that tells, else all of it read back. */
  async function verify(
    place: ObjectPlace,
    content: Content,
    md5: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { bucket: Bucket, key: Key } = place;
    const seen = await asking(place, (abort) =>
      client.send(new sdk.HeadObjectCommand({ Bucket, Key }), abort),
    );
    let same = seen.ContentLength === content.sizeBytes;
    if (same && seen.ETag?.replaceAll('"', '') !== md5) {
      const hash = createHash('sha256');
      for await (const chunk of await read(place, signal)) hash.update(chunk as Buffer);
      same = hash.digest('hex') === content.sha256;
    }
    if (same) return;
    await asking(place, (abort) => client.send(new sdk.DeleteObjectCommand({ Bucket, Key }), abort));
    throw new ObjectStoreUnavailable(`Bucket ${Bucket} does not hold what was sent as ${Key}.`);
  }

  async function read({ bucket, key }: ObjectPlace, signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    const got = await asking(
      { bucket, key },
      (abort) => client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), abort),
      signal,
    );
    return unlessSilent(got.Body as Readable, bucket, key, signal);
  }

  async function uploadParts(
    place: ObjectPlace,
    content: Content,
    partBytes: number,
    uploadId: string,
    signal: AbortSignal,
  ): Promise<string> {
    const address = { Bucket: place.bucket, Key: place.key, UploadId: uploadId };
    const hash = createHash('sha256');
    const sums: Buffer[] = [];
    const sent: { readonly PartNumber: number; readonly ETag: string | undefined }[] = [];
    for await (const Body of inParts(content.read(), partBytes)) {
      hash.update(Body);
      const sum = createHash('md5').update(Body).digest();
      sums.push(sum);
      const PartNumber = sums.length;
      const part = { ...address, PartNumber, Body, ContentMD5: sum.toString('base64') };
      const { ETag } = await asking(
        place,
        (abort) => client.send(new sdk.UploadPartCommand(part), abort),
        signal,
      );
      sent.push({ PartNumber, ETag });
    }
    // Compared before the parts become an object.
    refuseOther(hash.digest('hex'), content);
    await asking(
      place,
      (abort) =>
        client.send(
          new sdk.CompleteMultipartUploadCommand({ ...address, MultipartUpload: { Parts: sent } }),
          abort,
        ),
      signal,
    );
    return `${createHash('md5').update(Buffer.concat(sums)).digest('hex')}-${sums.length}`;
  }

  const store: ObjectStore = {
    async checkBucket(bucket) {
      await asking({ bucket }, (abort) => client.send(new sdk.HeadBucketCommand({ Bucket: bucket }), abort));
    },
    async sizeOf(place) {
      const { bucket: Bucket, key: Key } = place;
      const found = await missing(
        asking(place, (abort) => client.send(new sdk.HeadObjectCommand({ Bucket, Key }), abort)),
      );
      return found?.ContentLength;
    },
    async upload(place, content, { signal, begun }) {
      const address = { Bucket: place.bucket, Key: place.key };
      const Metadata = { [digestName]: content.sha256 };
      const partBytes = partBytesOf(content.sizeBytes, options.partBytes);
      if (content.sizeBytes <= partBytes) {
        const chunks: Buffer[] = [];
        for await (const chunk of content.read()) chunks.push(chunk);
        const Body = Buffer.concat(chunks);
        refuseOther(createHash('sha256').update(Body).digest('hex'), content);
        const sum = createHash('md5').update(Body).digest();
        const put = { ...address, Metadata, Body, ContentMD5: sum.toString('base64') };
        await asking(place, (abort) => client.send(new sdk.PutObjectCommand(put), abort), signal);
        return verify(place, content, sum.toString('hex'), signal);
      }
      const { UploadId: uploadId } = await asking(
        place,
        (abort) => client.send(new sdk.CreateMultipartUploadCommand({ ...address, Metadata }), abort),
        signal,
      );
      if (uploadId === undefined) throw new ObjectStoreRefused(`Bucket ${place.bucket} takes no parts.`);
      await begun(uploadId);
      const md5 = await uploadParts(place, content, partBytes, uploadId, signal);
      await verify(place, content, md5, signal);
    },
    async download(place, target, { signal, maxBytes }) {
      const { bucket: Bucket, key: Key } = place;
      const got = await asking(
        place,
        (abort) => client.send(new sdk.GetObjectCommand({ Bucket, Key }), abort),
        signal,
      );
      const body = got.Body as Readable;
      const tooLarge = () =>
        new ObjectStoreRefused(`${Key} in bucket ${Bucket} has more than ${maxBytes} bytes.`);
      try {
        if ((got.ContentLength ?? 0) > maxBytes) throw tooLarge();
        const hash = createHash('sha256');
        let sizeBytes = 0;
        const output = await open(target, 'w', 0o600);
        try {
          for await (const chunk of unlessSilent(body, Bucket, Key, signal)) {
            sizeBytes += chunk.length;
            if (sizeBytes > maxBytes) throw tooLarge();
            hash.update(chunk);
            await output.write(chunk);
          }
          await output.sync();
        } finally {
          await output.close();
        }
        if (got.ContentLength !== undefined && sizeBytes !== got.ContentLength) {
          throw new ObjectStoreUnavailable(
            `Bucket ${Bucket} sent ${sizeBytes} of ${got.ContentLength} bytes of ${Key}.`,
          );
        }
        const uploaded = got.Metadata?.[digestName];
        if (uploaded !== undefined && uploaded !== hash.digest('hex')) {
          throw new ObjectStoreRefused(
            `${Key} in bucket ${Bucket} is not what was uploaded there: its SHA-256 differs.`,
          );
        }
      } finally {
        body.destroy();
      }
    },
    async abandon(place, UploadId) {
      const { bucket: Bucket, key: Key } = place;
      const ask = new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId });
      await missing(asking(place, (abort) => client.send(ask, abort)));
    },
    async remove(place) {
      const { bucket: Bucket, key: Key } = place;
      const ask = new sdk.DeleteObjectCommand({ Bucket, Key });
      await missing(asking(place, (abort) => client.send(ask, abort)));
    },
    close: () => client.destroy(),
  };
  return store;
}

function refuseOther(sha256: string, content: Content): void {
  if (sha256 !== content.sha256) throw new ObjectStoreRefused('What was read is not what was kept.');
}

/** The body's chunks. @throws ObjectStoreUnavailable when the next one does not come. */
async function* unlessSilent(
  body: Readable,
  bucket: string,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const give = () => body.destroy(new Error('It sent nothing for too long.'));
  let timer = setTimeout(give, silenceLimitMs);
  signal.addEventListener('abort', give, { once: true });
  try {
    for await (const chunk of body) {
      clearTimeout(timer);
      yield chunk as Buffer;
      timer = setTimeout(give, silenceLimitMs);
    }
  } catch (cause) {
    throw new ObjectStoreUnavailable(
      `Bucket ${bucket} did not send ${key} to its end: ${(cause as Error).message}`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', give);
  }
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}

/** Names of errors are the server's: only what looks like one is repeated. */
function explain(cause: Error, bucket: string, key: string | undefined): Error {
  const status = statusOf(cause);
  const kind = /^[A-Za-z0-9]{1,60}$/.test(cause.name) ? cause.name : 'no name';
  if (status === undefined || status >= 500 || status === 429 || status === 408) {
    const why = status === undefined ? networkReason(cause) : `it answered ${status}, ${kind}`;
    return new ObjectStoreUnavailable(`Bucket ${bucket} can't be reached: ${why}.`, { cause });
  }
  const noBucket = kind === 'NoSuchBucket' || key === undefined;
  const message =
    status === 404
      ? noBucket
        ? `There is no bucket ${bucket}.`
        : `There is no ${key} in bucket ${bucket}.`
      : status === 401 || status === 403
        ? `Access to bucket ${bucket} is denied (${kind}).`
        : `Bucket ${bucket} answered ${status}, ${kind}.`;
  return new ObjectStoreRefused(message, { cause });
}

function networkReason(error: Error): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'it did not answer in time';
  const { code } = error as NodeJS.ErrnoException;
  return code ?? 'the connection failed';
}

/** What the AWS SDK finds by itself: in the environment, in its files, or from the machine's own service. */
export async function defaultCredentials({
  region,
}: Pick<ObjectStoreAccess, 'region'>): Promise<ObjectStoreAccess['credentials']> {
  const { S3Client } = await import('@aws-sdk/client-s3');
  const client = new S3Client({ region });
  try {
    const { accessKeyId, secretAccessKey, sessionToken } = await client.config.credentials();
    return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  } catch (cause) {
    throw new ObjectStoreRefused(
      'The AWS SDK finds no credentials for the object store; give --s3-credentials-file.',
      { cause },
    );
  } finally {
    client.destroy();
  }
}
