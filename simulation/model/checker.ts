/**
 * An exhaustive explicit-state model checker: breadth first over every interleaving, so that the first
 * counterexample found is a shortest one.
 *
 * A state is a plain tree of small numbers and booleans. Its key is one string with a character per leaf: two
 * states are the same exactly when their keys are, so nothing rests on the luck of a hash. Of the path to a state
 * only its parent's number is kept; a counterexample's labels are found by taking the steps again.
 */

/** A tree of numbers (-1 to 60,000) and booleans; always of the same shape, except for the length of arrays. */
export type Tree = number | boolean | readonly Tree[] | { readonly [field: string]: Tree };

/** Offers a step: what happens, in words, and how it changes a copy of the state. */
export type Take<S> = (label: string, change: (next: S) => void) => void;

export interface Model<S> {
  readonly initial: readonly S[];
  /** Offers every step that is possible in `state`. Must not change it. */
  steps(state: S, take: Take<S>): void;
  /** A list whose order means nothing: states that differ in it alone are one. */
  readonly interchangeable?: keyof S & string;
  /** What a read could return here that it must not, in words; undefined when the invariant holds. */
  violation(state: S): string | undefined;
}

export interface Verdict {
  readonly holds: boolean;
  readonly states: number;
  readonly transitions: number;
  /** Steps of a shortest run to a violation, in order; empty when the invariant holds. */
  readonly schedule: readonly string[];
  readonly violation: string | undefined;
}

export interface CheckOptions {
  /** More reachable states than this are an error, not an answer. Default 8,000,000. */
  readonly maxStates?: number;
}

/** Throws when the model has more states than allowed. */
export function check<S>(model: Model<S>, { maxStates = 8_000_000 }: CheckOptions = {}): Verdict {
  const seen = new Set<string>();
  const parents: number[] = [];
  let transitions = 0;
  // Numbers of states run on; only the two newest levels are kept whole.
  let level: { readonly number: number; readonly state: S }[] = [];
  const answer = (found?: { number: number; violation: string }): Verdict => ({
    holds: found === undefined,
    states: seen.size,
    transitions,
    schedule: found === undefined ? [] : replay(model, pathTo(found.number, parents)),
    violation: found?.violation,
  });
  for (const state of model.initial) {
    const key = keyOf(state, model);
    if (seen.has(key)) continue;
    seen.add(key);
    const number = parents.push(-1) - 1;
    const violation = model.violation(state);
    if (violation !== undefined) return answer({ number, violation });
    level.push({ number, state });
  }
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { number: parent, state } of level) {
      let found: { number: number; violation: string } | undefined;
      model.steps(state, (_, change) => {
        if (found !== undefined) return;
        transitions += 1;
        const changed = copyOf(state);
        change(changed);
        const key = keyOf(changed, model);
        if (seen.has(key)) return;
        seen.add(key);
        const number = parents.push(parent) - 1;
        const violation = model.violation(changed);
        if (violation !== undefined) found = { number, violation };
        next.push({ number, state: changed });
      });
      if (found !== undefined) return answer(found);
      if (seen.size > maxStates) throw new Error(`More than ${maxStates} states: choose smaller bounds.`);
    }
    level = next;
  }
  return answer();
}

function pathTo(number: number, parents: readonly number[]): readonly number[] {
  const path: number[] = [];
  for (let at = number; at !== -1; at = parents[at]!) path.unshift(at);
  return path;
}

/** Numbers every state again, in the same order, and keeps the labels of those on the path. */
function replay<S>(model: Model<S>, path: readonly number[]): readonly string[] {
  const wanted = new Set(path);
  const labels = new Map<number, string>();
  const seen = new Set<string>();
  let count = 0;
  let level: { readonly number: number; readonly state: S }[] = [];
  for (const state of model.initial) {
    const key = keyOf(state, model);
    if (seen.has(key)) continue;
    seen.add(key);
    level.push({ number: count++, state });
  }
  while (labels.size < path.length - 1) {
    const next: typeof level = [];
    for (const { state } of level) {
      model.steps(state, (label, change) => {
        const changed = copyOf(state);
        change(changed);
        const key = keyOf(changed, model);
        if (seen.has(key)) return;
        seen.add(key);
        const number = count++;
        if (wanted.has(number)) labels.set(number, label);
        next.push({ number, state: changed });
      });
    }
    level = next;
  }
  return path.slice(1).map((number) => labels.get(number)!);
}

function copyOf<S>(state: S): S {
  return copyTree(state as unknown as Tree) as unknown as S;
}

function copyTree(tree: Tree): Tree {
  if (typeof tree !== 'object') return tree;
  if (Array.isArray(tree)) return tree.map(copyTree);
  const copy: { [field: string]: Tree } = {};
  const fields = tree as { readonly [field: string]: Tree };
  for (const field in fields) copy[field] = copyTree(fields[field]!);
  return copy;
}

function keyOf<S>(state: S, { interchangeable }: Model<S>): string {
  const fields = state as unknown as { readonly [field: string]: Tree };
  const units: number[] = [];
  let list: readonly Tree[] = [];
  for (const field in fields) {
    if (field === interchangeable) list = fields[field] as readonly Tree[];
    else addUnits(fields[field]!, units);
  }
  const parts = list.map((part) => {
    const own: number[] = [];
    addUnits(part, own);
    return String.fromCharCode.apply(undefined, own);
  });
  return String.fromCharCode.apply(undefined, units) + parts.sort().join('');
}

function addUnits(tree: Tree, units: number[]): void {
  if (typeof tree === 'number') units.push(tree + 1);
  else if (typeof tree === 'boolean') units.push(tree ? 1 : 0);
  else if (Array.isArray(tree)) {
    units.push(tree.length);
    for (const part of tree as readonly Tree[]) addUnits(part, units);
  } else {
    const fields = tree as { readonly [field: string]: Tree };
    for (const field in fields) addUnits(fields[field]!, units);
  }
}
