/** (pure) What `AllowedValues` says: words and ranges with commas between, as `yes,no`, `-1-100`, `0,20-2147483647`. */
import type { FamilyParameter } from './family.ts';

/**
 * Whether the value may be taken as far as the family knows; the engine has the last word where it can be asked.
 * Values like `64mb` of memory directives pass where no range is known.
 */
export function isAllowed(parameter: FamilyParameter, value: string): boolean {
  const { dataType, allowedValues } = parameter;
  if (dataType === 'float' && !/^\d{1,9}(\.\d{1,9})?$/.test(value)) return false;
  if (dataType === 'integer' && allowedValues !== undefined && !/^(0|-?[1-9]\d{0,18})$/.test(value))
    return false;
  if (allowedValues === undefined) return true;
  return allowedValues.split(',').some((each) => {
    const range = /^(-?[\d.]+)-(-?[\d.]+)$/.exec(each);
    if (range === null || dataType === 'string' || dataType === 'boolean') return each === value;
    return inRange(value, range[1]!, range[2]!, dataType);
  });
}

/** Whole numbers beyond 2^53 too. */
function inRange(value: string, from: string, to: string, dataType: FamilyParameter['dataType']): boolean {
  if (dataType === 'float') return Number(value) >= Number(from) && Number(value) <= Number(to);
  return BigInt(value) >= BigInt(from) && BigInt(value) <= BigInt(to);
}
