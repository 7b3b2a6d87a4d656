/** (pure) `sun:05:00-sun:06:00`, UTC, at least an hour, at most a week less a minute. */
import { serviceError } from '@larder/contract/errors';

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const minutesPerWeek = 7 * 24 * 60;
export const defaultMaintenanceWindow = 'sun:05:00-sun:06:00';

/** Whether `nowMs` lies in a window as stored. */
export function windowIsOpen(window: string, nowMs: number): boolean {
  const [from, to] = window.split('-').map(minuteOfWeek) as [number, number];
  // The epoch began on a Thursday.
  const now = (Math.floor(nowMs / 60_000) + 3 * 24 * 60) % minutesPerWeek;
  return (now - from + minutesPerWeek) % minutesPerWeek < (to - from + minutesPerWeek) % minutesPerWeek;
}

function minuteOfWeek(text: string): number {
  const [day, hour, minutes] = text.split(':');
  return (days.indexOf(day!) * 24 + Number(hour)) * 60 + Number(minutes);
}

/** @returns it as stored, in lower case. @throws ServiceError InvalidParameterValue */
export function maintenanceWindow(text: string): string {
  const match = /^([a-z]{3}):(\d{2}):(\d{2})-([a-z]{3}):(\d{2}):(\d{2})$/.exec(text.toLowerCase());
  const minute = (day: number, hour: number, minutes: number) => (day * 24 + hour) * 60 + minutes;
  const from = match && minute(days.indexOf(match[1]!), Number(match[2]), Number(match[3]));
  const to = match && minute(days.indexOf(match[4]!), Number(match[5]), Number(match[6]));
  const real =
    match !== null &&
    days.includes(match[1]!) &&
    days.includes(match[4]!) &&
    [match[2], match[5]].every((hour) => Number(hour) < 24) &&
    [match[3], match[6]].every((minutes) => Number(minutes) < 60);
  if (!real || (to! - from! + minutesPerWeek) % minutesPerWeek < 60) {
    throw serviceError(
      'InvalidParameterValueException',
      `PreferredMaintenanceWindow must be like ${defaultMaintenanceWindow}, in UTC, at least 60 minutes long.`,
    );
  }
  return text.toLowerCase();
}
