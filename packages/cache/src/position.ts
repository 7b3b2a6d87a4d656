/**
 * A position in the database's log (PostgreSQL: an LSN) is 64 bits wide. In TypeScript it is a `bigint`; on
 * the wire it is 16 lowercase hex digits, which compare alike as numbers and, in JavaScript, as strings.
 * Never a double: 2^53 bytes of log are 104 days at 1 GB/s.
 */

export const zeroPosition = '0'.repeat(16);

export function positionToHex(position: bigint): string {
  return position.toString(16).padStart(16, '0');
}

export function positionFromHex(hex: string): bigint {
  return BigInt(`0x${hex}`);
}

/** `16/B374D848` as PostgreSQL prints it. */
export function parseLsn(text: string): bigint {
  const slash = text.indexOf('/');
  const high = Number.parseInt(text.slice(0, slash), 16);
  const low = Number.parseInt(text.slice(slash + 1), 16);
  if (slash < 1 || Number.isNaN(high) || Number.isNaN(low))
    throw new RangeError(`Not a log position: ${text}`);
  return (BigInt(high) << 32n) | BigInt(low);
}

export function formatLsn(position: bigint): string {
  const high = (position >> 32n).toString(16).toUpperCase();
  return `${high}/${(position & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** The upper and lower 32 bits as decimal text, for scripts that compare pairs. */
export function highOf(position: bigint): string {
  return (position >> 32n).toString();
}

export function lowOf(position: bigint): string {
  return (position & 0xffff_ffffn).toString();
}

export function earlierOf(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function laterOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
