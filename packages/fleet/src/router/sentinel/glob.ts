/** (pure) Patterns of PSUBSCRIBE: `*`, `?`, `[abc]`, `[^a-c]` and `\` before any of them. */

/** In time that grows with the product of both lengths, whatever the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
  let [at, from] = [0, 0];
  // Where to go on when what came after the last star does not fit.
  let [starAt, starFrom] = [-1, 0];
  while (from < text.length) {
    const next = pattern[at] === '*' ? undefined : matchOne(pattern, at, text[from]!);
    if (next !== undefined) {
      at = next;
      from += 1;
    } else if (pattern[at] === '*') {
      [starAt, starFrom] = [at, from];
      at += 1;
    } else if (starAt >= 0) {
      starFrom += 1;
      [at, from] = [starAt + 1, starFrom];
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at >= pattern.length;
}

/** @returns where the pattern goes on behind what matches the character. */
function matchOne(pattern: string, at: number, character: string): number | undefined {
  const first = pattern[at];
  if (first === undefined) return undefined;
  if (first === '?') return at + 1;
  if (first === '\\' && at + 1 < pattern.length) return pattern[at + 1] === character ? at + 2 : undefined;
  const end = first === '[' ? pattern.indexOf(']', at + 1) : -1;
  if (end === -1) return first === character ? at + 1 : undefined;
  const negated = pattern[at + 1] === '^';
  let found = false;
  for (let each = at + (negated ? 2 : 1); each < end; each += 1) {
    const isRange = pattern[each + 1] === '-' && each + 2 < end;
    const [low, high] = [pattern[each]!, isRange ? pattern[each + 2]! : pattern[each]!].sort();
    if (character >= low! && character <= high!) found = true;
    if (isRange) each += 2;
  }
  return found === negated ? undefined : end + 1;
}
