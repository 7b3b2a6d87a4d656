/** Of arguments of analytics. Pure. */
import { CacheConfigError } from '../errors.ts';

/** Throws CacheConfigError. */
export function checked(fits: boolean, otherwise: string): asserts fits {
  if (!fits) throw new CacheConfigError(otherwise);
}

export function identifier(name: unknown): boolean {
  return typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name);
}

/** Throws CacheConfigError. What names one counter, one set of visitors, one client of a limiter. */
export function checkId(id: string): string {
  checked(
    typeof id === 'string' && id.length > 0 && id.length <= 200,
    'An id is a text of 1 to 200 characters.',
  );
  return id;
}

/** Throws CacheConfigError. */
export function wholeFrom(
  name: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  checked(
    Number.isSafeInteger(value) && value >= least && value <= most,
    `\`${name}\` is a whole number from ${least} to ${most}, not ${String(value)}.`,
  );
  return value;
}
