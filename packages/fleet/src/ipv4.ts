/** IPv4 addresses as numbers, and ranges of them. */
import { isIPv4 } from 'node:net';

/** @param address in dotted form. */
export function addressNumber(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}

export function dottedAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}

/** Addresses of `10.1.2.0/24` (without its first and last), or of `10.1.2.7-10.1.2.20` (with both). */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** More would only be typed by mistake. */
const largestRange = 65_536;

/** @returns undefined when the text is no range, or one of more than 65,536 addresses. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [from = '', to] = text.split('-');
  if (to !== undefined) {
    if (!isIPv4(from) || !isIPv4(to)) return undefined;
    return bounded({ first: addressNumber(from), last: addressNumber(to) });
  }
  const [network = '', bits] = text.split('/');
  if (!isIPv4(network) || bits === undefined || !/^\d{1,2}$/.test(bits)) return undefined;
  const size = 2 ** (32 - Number(bits));
  if (Number(bits) > 30) return undefined;
  const base = Math.floor(addressNumber(network) / size) * size;
  return bounded({ first: base + 1, last: base + size - 2 });
}

function bounded(range: AddressRange): AddressRange | undefined {
  return range.first <= range.last && range.last - range.first < largestRange ? range : undefined;
}

export function* addressesOf({ first, last }: AddressRange): Generator<string> {
  for (let number = first; number <= last; number += 1) yield dottedAddress(number);
}
