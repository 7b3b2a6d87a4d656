/**
 * Refuses members of a request that have no effect here yet. Taking them and doing nothing would be a pretended
 * success.
 */
import { serviceError } from '@larder/contract/errors';

/**
 * @param asked name -> value as sent; a value of `undefined`, `false`, 0 or an empty list asks for nothing.
 * @throws ServiceError InvalidParameterCombination naming the first that asks for something.
 */
export function refuseNotYet(asked: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(asked)) {
    const nothing =
      value === undefined || value === false || value === 0 || (Array.isArray(value) && value.length === 0);
    if (nothing) continue;
    throw serviceError(
      'InvalidParameterCombinationException',
      `${name} has no effect in this version of Larder, so it is refused.`,
      { hint: `Leave ${name} out.` },
    );
  }
}
