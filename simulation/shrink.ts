/** Makes a failing plan small: takes out as many pieces of its lists as it can while it still fails. */

/**
 * @param parts names of the plan's lists, in the order in which they are made smaller.
 * @param maxRuns gives up making it smaller after so many tries.
 */
export async function shrink<Part extends string, Plan extends Readonly<Record<Part, readonly unknown[]>>>(
  plan: Plan,
  parts: readonly Part[],
  fails: (plan: Plan) => Promise<boolean>,
  maxRuns = 400,
): Promise<Plan> {
  let smallest = plan;
  let runs = 0;
  const sizeOf = (of: Plan): number => parts.reduce((sum, part) => sum + of[part].length, 0);
  const tried = async (candidate: Plan): Promise<boolean> => {
    runs += 1;
    if (runs > maxRuns || !(await fails(candidate))) return false;
    smallest = candidate;
    return true;
  };
  for (let before = -1; before !== sizeOf(smallest) && runs <= maxRuns; ) {
    before = sizeOf(smallest);
    for (const part of parts) await shrinkPart(part);
  }
  return smallest;

  /** Halves first, then smaller pieces, then one by one. */
  async function shrinkPart(part: Part): Promise<void> {
    for (let size = Math.ceil(smallest[part].length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < smallest[part].length; ) {
        const list = smallest[part];
        const without = { ...smallest, [part]: [...list.slice(0, at), ...list.slice(at + size)] };
        if (!(await tried(without))) at += size;
        if (runs > maxRuns) return;
      }
    }
  }
}
