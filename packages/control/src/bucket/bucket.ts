/** Buckets as requests name them: which there may be, and whether they can be used now. */
import { type ServiceError, serviceError } from '@larder/contract/errors';
import {
  type ObjectPlace,
  type ObjectStore,
  type ObjectStoreAccess,
  ObjectStoreRefused,
  ObjectStoreUnavailable,
} from '@larder/fleet/object-store/object-store';
import { invalidValue } from '../request/refusals.ts';

/** The object store that the service was told of. */
export interface Buckets {
  /** With credentials of now. @throws ObjectStoreRefused when there are none. */
  access(): Promise<ObjectStoreAccess>;
  /** The caller closes it. */
  open(access: ObjectStoreAccess): Promise<ObjectStore>;
}

/** @throws ServiceError InvalidParameterValue when there is none, or where the work is refused by it. */
export async function withBuckets<T>(
  buckets: Buckets | undefined,
  work: (store: ObjectStore) => Promise<T>,
): Promise<T> {
  if (buckets === undefined) {
    throw serviceError('InvalidParameterValueException', 'This service knows no object store.', {
      hint: 'Start it with --s3-endpoint URL, or with --s3-region for Amazon S3.',
    });
  }
  try {
    const store = await buckets.open(await buckets.access());
    try {
      return await work(store);
    } finally {
      store.close();
    }
  } catch (error) {
    throw asRefusal(error);
  }
}

function asRefusal(error: unknown): unknown {
  const known = error instanceof ObjectStoreRefused || error instanceof ObjectStoreUnavailable;
  return known ? invalidValue(error.message) : error;
}

/** @throws ServiceError InvalidParameterValue for what no bucket is called. */
export function bucketName(parameter: string, value: string): string {
  if (/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value) && !value.includes('..')) return value;
  throw invalidValue(`${parameter} must name a bucket: 3 to 63 small letters, digits, dots and hyphens.`);
}

/** `arn:aws:s3:::bucket/path/file.rdb`. @throws ServiceError InvalidParameterValue */
export function placeOfArn(arn: string): ObjectPlace {
  const wrong = (): ServiceError =>
    invalidValue(
      'Each of SnapshotArns must be arn:aws:s3:::bucket/path/file.rdb, with no comma and at most 1024 bytes of path.',
    );
  if (arn.length > 2_048 || arn.includes(',')) throw wrong();
  const [, bucket, key] = /^arn:aws[a-z-]*:s3:::([^/]{3,63})\/([^\p{Cc}]+)$/u.exec(arn) ?? [];
  if (bucket === undefined || key === undefined || Buffer.byteLength(key) > 1_024) throw wrong();
  return { bucket: bucketName('SnapshotArns', bucket), key };
}
