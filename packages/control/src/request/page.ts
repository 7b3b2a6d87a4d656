/** (pure) Marker and MaxRecords, as every Describe operation has them. */
import { serviceError } from '@larder/contract/errors';

export interface PageRequest {
  readonly Marker?: string | undefined;
  readonly MaxRecords?: number | undefined;
}

export interface PageSize {
  readonly default: number;
  readonly most: number;
}

const usualSize: PageSize = { default: 100, most: 100 };
const fewestRecords = 20;

export interface Page {
  readonly limit: number;
  /** The last key of the page before, or undefined for the first page. */
  readonly after: string | undefined;
}

/** @throws ServiceError InvalidParameterValue for a size outside 20 to 100, or what `size` says, or a marker that is not ours. */
export function readPage(request: PageRequest, size = usualSize): Page {
  const limit = request.MaxRecords ?? size.default;
  if (limit < fewestRecords || limit > size.most) {
    throw serviceError(
      'InvalidParameterValueException',
      `MaxRecords must be between ${fewestRecords} and ${size.most}; it is ${limit}.`,
    );
  }
  if (request.Marker === undefined || request.Marker === '') return { limit, after: undefined };
  const after = Buffer.from(request.Marker, 'base64url').toString('utf8');
  if (!after.startsWith('after:')) {
    throw foreignMarker();
  }
  return { limit, after: after.slice('after:'.length) };
}

export function foreignMarker() {
  return serviceError('InvalidParameterValueException', 'Marker is not one that a previous answer gave.');
}

/** Cuts `limit + 1` fetched items to a page. */
export function cutPage<T>(
  fetched: readonly T[],
  limit: number,
  keyOf: (item: T) => string,
): { items: readonly T[]; Marker?: string } {
  if (fetched.length <= limit) return { items: fetched };
  const items = fetched.slice(0, limit);
  const marker = Buffer.from(`after:${keyOf(items.at(-1)!)}`, 'utf8').toString('base64url');
  return { items, Marker: marker };
}

/** A page of what is all in memory, in the order of its keys. @throws ServiceError as `readPage` */
export function pageOf<T>(
  all: readonly T[],
  request: PageRequest,
  keyOf: (item: T) => string,
  size = usualSize,
): { items: readonly T[]; Marker?: string } {
  const { limit, after } = readPage(request, size);
  const rest = all.filter((item) => after === undefined || keyOf(item) > after);
  return cutPage(rest, limit, keyOf);
}
