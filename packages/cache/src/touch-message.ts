/**
 * What `touch` writes into the database's log inside of a transaction: the keys that its commit makes old. Pure.
 * The prefix names the cache, so that several caches can share a log.
 */

const maxContentLength = 1_000_000;
const maxKeys = 10_000;

export function touchPrefix(cache: string): string {
  return `larder:${cache}`;
}

/** Throws RangeError when there are too many for one message. */
export function encodeTouch(fullKeys: readonly string[]): string {
  const text = JSON.stringify(fullKeys);
  if (fullKeys.length > maxKeys || text.length > maxContentLength) {
    throw new RangeError(`One touch takes at most ${maxKeys} keys and ${maxContentLength} characters.`);
  }
  return text;
}

/** @returns undefined for what is no such message: then anything may have been meant. */
export function decodeTouch(content: string): readonly string[] | undefined {
  if (content.length > maxContentLength) return undefined;
  try {
    const keys: unknown = JSON.parse(content);
    const fits =
      Array.isArray(keys) && keys.length <= maxKeys && keys.every((key) => typeof key === 'string');
    return fits ? (keys as string[]) : undefined;
  } catch {
    return undefined;
  }
}
