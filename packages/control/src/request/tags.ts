/** (pure) Tags as a request brings them. */
import { serviceError } from '@larder/contract/errors';

export interface Tag {
  readonly key: string;
  readonly value: string;
}

export const mostTags = 50;

/** @throws ServiceError TagQuotaPerResourceExceeded, InvalidParameterValue */
export function readTags(
  tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined,
): Tag[] {
  const read = (tags ?? []).map(({ Key, Value }) => {
    if (Key === undefined || Key.length === 0 || Key.length > 128 || (Value ?? '').length > 256) {
      throw serviceError(
        'InvalidParameterValueException',
        'A tag needs a key of 1 to 128 characters and a value of at most 256.',
      );
    }
    if (/^aws:/i.test(Key)) {
      throw serviceError('InvalidParameterValueException', 'Tag keys that begin with aws: are reserved.');
    }
    return { key: Key, value: Value ?? '' };
  });
  if (read.length > mostTags) {
    throw serviceError('TagQuotaPerResourceExceeded', `A resource may have at most ${mostTags} tags.`);
  }
  if (new Set(read.map(({ key }) => key)).size !== read.length) {
    throw serviceError('InvalidParameterValueException', 'A tag key may be given only once.');
  }
  return read;
}
