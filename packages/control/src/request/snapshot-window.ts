/** (pure) `05:00-09:00`, UTC, at least an hour. */
import { serviceError } from '@larder/contract/errors';

const minutesPerDay = 24 * 60;
export const defaultSnapshotWindow = '03:00-04:00';

/** When the window that is open now was opened; undefined while it is closed. */
export function openSinceMs(window: string, nowMs: number): number | undefined {
  const [from, to] = window
    .split('-')
    .map((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))) as [number, number];
  const minute = Math.floor(nowMs / 60_000);
  const sinceFrom = ((minute % minutesPerDay) - from + minutesPerDay) % minutesPerDay;
  if (sinceFrom >= (to - from + minutesPerDay) % minutesPerDay) return undefined;
  return (minute - sinceFrom) * 60_000;
}

/** @returns it as stored. @throws ServiceError InvalidParameterValue */
export function snapshotWindow(text: string): string {
  const match = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  const from = match && Number(match[1]) * 60 + Number(match[2]);
  const to = match && Number(match[3]) * 60 + Number(match[4]);
  if (match === null || (to! - from! + minutesPerDay) % minutesPerDay < 60) {
    throw serviceError(
      'InvalidParameterValueException',
      'SnapshotWindow must be like 05:00-09:00, in UTC, at least 60 minutes long.',
    );
  }
  return text;
}
