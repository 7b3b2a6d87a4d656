/** DescribeEvents. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import type { ControlContext } from '../control-context.ts';
import { cutPage, foreignMarker, readPage } from '../request/page.ts';
import { listEvents } from './event-log.ts';

const defaultDurationMinutes = 60;

/**
 * The last hour by default, `Duration` minutes back, or from StartTime to EndTime; oldest first.
 * @throws ServiceError InvalidParameterCombination for an identifier without its type, or times that cross.
 */
export async function describeEvents(
  { database, nowMs }: ControlContext,
  input: Input<'DescribeEvents'>,
): Promise<Output<'DescribeEvents'>> {
  if (input.SourceIdentifier !== undefined && input.SourceType === undefined) {
    throw serviceError('InvalidParameterCombinationException', 'SourceIdentifier needs SourceType.');
  }
  const toMs = input.EndTime?.getTime() ?? nowMs();
  const fromMs = input.StartTime?.getTime() ?? toMs - (input.Duration ?? defaultDurationMinutes) * 60_000;
  if (fromMs > toMs) {
    throw serviceError('InvalidParameterCombinationException', 'StartTime must not be after EndTime.');
  }
  const { limit, after = '0' } = readPage(input);
  if (!/^\d{1,15}$/.test(after)) throw foreignMarker();
  const fetched = await listEvents(database, {
    fromMs,
    toMs,
    afterId: Number(after),
    limit: limit + 1,
    ...(input.SourceType !== undefined && { sourceType: input.SourceType }),
    ...(input.SourceIdentifier !== undefined && { sourceId: input.SourceIdentifier.toLowerCase() }),
  });
  const { items, ...marker } = cutPage(fetched, limit, ({ id }) => String(id));
  return {
    Events: items.map(({ event }) => ({
      SourceIdentifier: event.sourceId,
      SourceType: event.sourceType,
      Message: event.message,
      Date: new Date(event.atMs),
    })),
    ...marker,
  };
}
