/**
 * Definitions that were made void as a whole, in one step however many entries they have: a truncated table, a
 * transaction over very many rows. The partition's beat ends in a list of them, each with the position up to
 * which its entries are void; whoever reads an entry has the beat in hand. Pure.
 *
 * The list is text: per definition 8 hex digits of the hash of its prefix, and 16 of the position. Definitions
 * whose hashes are equal are void together, which costs a load and no more.
 */
import { hashKey } from './partition.ts';

const hashLength = 8;
const recordLength = hashLength + 16;

/** @param prefix `<name>:<version>:` of the definition. */
export function voidHashOf(prefix: string): string {
  return hashKey(prefix).toString(16).padStart(hashLength, '0');
}

/** The position up to which the definition's entries are void, 16 hex digits; '' for none. */
export function voidedThrough(voids: string, voidHash: string): string {
  for (let at = 0; at < voids.length; at += recordLength) {
    if (voids.startsWith(voidHash, at)) return voids.slice(at + hashLength, at + recordLength);
  }
  return '';
}

/** Hashes of the definitions that `after` makes more void than `before` did. */
export function newlyVoid(before: string, after: string): readonly string[] {
  const hashes: string[] = [];
  for (let at = 0; at < after.length; at += recordLength) {
    const hash = after.slice(at, at + hashLength);
    if (voidedThrough(after, hash) > voidedThrough(before, hash)) hashes.push(hash);
  }
  return hashes;
}

/** What either list says is void, as far as the one that says more. */
export function mergedVoids(one: string, other: string): string {
  const through = new Map<string, string>();
  for (const voids of [one, other]) {
    for (let at = 0; at < voids.length; at += recordLength) {
      const hash = voids.slice(at, at + hashLength);
      const position = voids.slice(at + hashLength, at + recordLength);
      if (position > (through.get(hash) ?? '')) through.set(hash, position);
    }
  }
  return [...through].flat().join('');
}

export function isVoids(text: string): boolean {
  return text.length % recordLength === 0 && /^[0-9a-f]*$/.test(text);
}
