/**
 * (pure) The text of a SEARCH: `{Namespace,Dimension} MetricName="CPUUtilization" shop NOT (test OR dev)`. The schema in
 * braces takes metrics of that namespace with exactly these dimensions; without it all are searched.
 */
import type { Metric } from '../metric.ts';
import { MathError } from './math-error.ts';

export type Condition =
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  /** Without a property in any of them. Exact: the whole value, and as it is written. */
  | { readonly kind: 'term'; readonly text: string; readonly exact: boolean; readonly property?: string };

export interface MetricSearch {
  readonly schema?: { readonly namespace: string; readonly dimensions: readonly string[] };
  readonly condition: Condition;
}

/** CloudWatch's own bound. */
const mostLength = 1024;
const mostDepth = 20;
const mostTerms = 50;
const WORD = /"([^"]*)"|([^\s()"={},]+)|([(){}=,])/y;

interface Part {
  readonly text: string;
  readonly kind: 'quoted' | 'bare' | 'sign';
}

/** @throws MathError */
export function parseSearch(text: string): MetricSearch {
  if (text.length > mostLength) throw new MathError(`A SEARCH can have up to ${mostLength} characters.`);
  const parts = partsOf(text);
  let next = 0;
  let terms = 0;
  const isSign = (sign: string) => parts[next]?.kind === 'sign' && parts[next]?.text === sign;
  const isWord = (word: string) => parts[next]?.kind === 'bare' && parts[next]?.text === word;

  function schema(): MetricSearch['schema'] {
    const names: string[] = [];
    do {
      next += 1;
      const part = parts[next];
      if (part === undefined || part.kind === 'sign') throw wrong(part);
      next += 1;
      names.push(part.text);
    } while (isSign(','));
    if (!isSign('}')) throw wrong(parts[next]);
    next += 1;
    const [namespace, ...dimensions] = names;
    return { namespace: namespace!, dimensions };
  }

  function any(depth: number, property?: string): Condition {
    if (depth > mostDepth) throw new MathError(`A SEARCH can't nest deeper than ${mostDepth}.`);
    const of = [all(depth, property)];
    while (isWord('OR')) {
      next += 1;
      of.push(all(depth, property));
    }
    return of.length === 1 ? of[0]! : { kind: 'any', of };
  }

  function all(depth: number, property?: string): Condition {
    const of: Condition[] = [];
    while (next < parts.length && !isSign(')') && !isWord('OR')) {
      if (isWord('AND')) {
        if (of.length === 0) throw wrong(parts[next]);
        next += 1;
      }
      of.push(one(depth, property));
    }
    if (of.length === 0) throw wrong(parts[next]);
    return of.length === 1 ? of[0]! : { kind: 'all', of };
  }

  function one(depth: number, property?: string): Condition {
    if (isWord('NOT')) {
      next += 1;
      return { kind: 'not', of: one(depth + 1, property) };
    }
    if (depth > mostDepth) throw new MathError(`A SEARCH can't nest deeper than ${mostDepth}.`);
    if (isSign('(')) {
      next += 1;
      const inside = any(depth + 1, property);
      if (!isSign(')')) throw wrong(parts[next]);
      next += 1;
      return inside;
    }
    const part = parts[next];
    if (part === undefined || part.kind === 'sign' || ['AND', 'OR'].includes(bare(part))) throw wrong(part);
    next += 1;
    if (!isSign('=')) {
      terms += 1;
      return {
        kind: 'term',
        text: part.text,
        exact: part.kind === 'quoted',
        ...(property !== undefined && { property }),
      };
    }
    if (property !== undefined) throw wrong(parts[next]);
    if (part.text.startsWith(':aws.')) {
      throw new MathError(`${part.text.slice(0, 40)} has no meaning here: there is one account.`);
    }
    next += 1;
    return one(depth + 1, part.text);
  }

  const given = isSign('{') ? schema() : undefined;
  const condition: Condition = next === parts.length ? { kind: 'all', of: [] } : any(0);
  if (next < parts.length) throw wrong(parts[next]);
  if (terms > mostTerms) throw new MathError(`A SEARCH can have up to ${mostTerms} words.`);
  return { ...(given !== undefined && { schema: given }), condition };
}

function bare({ kind, text }: Part): string {
  return kind === 'bare' ? text : '';
}

function partsOf(text: string): readonly Part[] {
  const parts: Part[] = [];
  let at = 0;
  while (at < text.length) {
    const space = /\s*/y;
    space.lastIndex = at;
    at += space.exec(text)![0].length;
    if (at === text.length) break;
    WORD.lastIndex = at;
    const match = WORD.exec(text);
    if (match === null) throw new MathError(`The SEARCH can't be read at ${text.slice(at, at + 20)}.`);
    at += match[0].length;
    if (match[1] !== undefined) parts.push({ kind: 'quoted', text: match[1] });
    else if (match[2] !== undefined) parts.push({ kind: 'bare', text: match[2] });
    else parts.push({ kind: 'sign', text: match[3]! });
  }
  return parts;
}

/** One predicate for many metrics: what a term says of a text is looked up, and the same texts come again and again. */
export function finder({ schema, condition }: MetricSearch): (metric: Metric) => boolean {
  const seen = new Map<Term, Map<string, boolean>>();
  return (metric) => hasSchema(metric, schema) && holds(metric, condition, seen);
}

type Term = Condition & { readonly kind: 'term' };

function hasSchema(metric: Metric, schema: MetricSearch['schema']): boolean {
  if (schema === undefined) return true;
  const names = new Set(metric.dimensions.map(({ name }) => name));
  return (
    metric.namespace === schema.namespace &&
    names.size === schema.dimensions.length &&
    schema.dimensions.every((name) => names.has(name))
  );
}

function holds(metric: Metric, condition: Condition, seen: Map<Term, Map<string, boolean>>): boolean {
  switch (condition.kind) {
    case 'all':
      return condition.of.every((each) => holds(metric, each, seen));
    case 'any':
      return condition.of.some((each) => holds(metric, each, seen));
    case 'not':
      return !holds(metric, condition.of, seen);
    case 'term': {
      const known = seen.get(condition) ?? new Map<string, boolean>();
      seen.set(condition, known);
      return textsOf(metric, condition.property).some((text) => {
        const before = known.get(text);
        if (before !== undefined) return before;
        const fits = matches(text, condition);
        known.set(text, fits);
        return fits;
      });
    }
  }
}

function matches(given: string, { text, exact }: Term): boolean {
  if (exact) return given === text;
  const wanted = wordsOf(text);
  return wanted.length > 0 && hasRun(wordsOf(given), wanted);
}

function textsOf({ namespace, name, dimensions }: Metric, property: string | undefined): readonly string[] {
  if (property === undefined) {
    return [namespace, name, ...dimensions.flatMap((each) => [each.name, each.value])];
  }
  if (property === 'MetricName') return [name];
  if (property === 'Namespace') return [namespace];
  return dimensions.filter((each) => each.name === property).map(({ value }) => value);
}

/** Letters apart from digits and signs, and at each change to a capital: `CPUUtilization` is CPU and Utilization. */
function wordsOf(text: string): readonly string[] {
  const words = text.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\sA-Za-z\d\p{P}\p{S}]+/gu);
  return (words ?? []).map((word) => word.toLowerCase());
}

function hasRun(words: readonly string[], wanted: readonly string[]): boolean {
  return words.some((_, from) => wanted.every((word, index) => words[from + index] === word));
}

function wrong(part: Part | undefined): MathError {
  return new MathError(
    part === undefined
      ? 'The SEARCH ends where something is missing.'
      : `The SEARCH can't be read at ${JSON.stringify(part.text.slice(0, 40))}.`,
  );
}
