/** (pure) Rules of composite alarms: `ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(c))`. */
import type { AlarmState } from './evaluate-alarm.ts';

export type CompositeRule =
  | { readonly kind: 'constant'; readonly value: boolean }
  /** By name or by ARN, as it is written. */
  | { readonly kind: 'state'; readonly state: AlarmState; readonly alarm: string }
  | { readonly kind: 'not'; readonly of: CompositeRule }
  | { readonly kind: 'and' | 'or'; readonly of: readonly CompositeRule[] };

/** A rule that can't be read. Its message is for who wrote it. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

export const mostRuleLength = 10_240;
export const mostChildren = 100;
const mostElements = 500;
const mostDepth = 50;
const TOKEN =
  /\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]{1,1600})"|([^()"\s]{1,1600}))\s*\)|([A-Z_]+)\b|([()]))/y;

type Token =
  | { readonly kind: 'state'; readonly state: AlarmState; readonly alarm: string }
  | { readonly kind: 'word' | 'sign'; readonly text: string };

/** @throws RuleError */
export function parseRule(text: string): CompositeRule {
  if (text.length > mostRuleLength)
    throw new RuleError(`A rule can have up to ${mostRuleLength} characters.`);
  const tokens = tokensOf(text);
  if (tokens.length > mostElements) throw new RuleError(`A rule can have up to ${mostElements} elements.`);
  let next = 0;

  const isText = (wanted: string) => {
    const token = tokens[next];
    return token !== undefined && token.kind !== 'state' && token.text === wanted;
  };

  function chain(word: 'OR' | 'AND', part: (depth: number) => CompositeRule, depth: number): CompositeRule {
    const of = [part(depth)];
    while (isText(word)) {
      next += 1;
      of.push(part(depth));
    }
    return of.length === 1 ? of[0]! : { kind: word === 'OR' ? 'or' : 'and', of };
  }
  const any = (depth: number): CompositeRule => chain('OR', all, depth);
  const all = (depth: number): CompositeRule => chain('AND', one, depth);

  function one(depth: number): CompositeRule {
    if (depth > mostDepth) throw new RuleError(`A rule can't nest deeper than ${mostDepth}.`);
    const token = tokens[next];
    next += 1;
    if (token?.kind === 'state') return token;
    if (token?.text === 'NOT') return { kind: 'not', of: one(depth + 1) };
    if (token?.text === 'TRUE' || token?.text === 'FALSE') {
      return { kind: 'constant', value: token.text === 'TRUE' };
    }
    if (token?.text !== '(') throw unexpected(token);
    const inside = any(depth + 1);
    if (!isText(')')) throw unexpected(tokens[next]);
    next += 1;
    return inside;
  }

  const rule = any(0);
  if (next < tokens.length) throw unexpected(tokens[next]);
  const children = childrenOf(rule);
  if (children.length > mostChildren) throw new RuleError(`A rule can name up to ${mostChildren} alarms.`);
  return rule;
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) {
      throw new RuleError(`The rule can't be read at ${JSON.stringify(text.slice(at, at + 30))}.`);
    }
    at += match[0].length;
    const [, state, quoted, bare, word, sign] = match;
    if (state !== undefined) {
      tokens.push({ kind: 'state', state: state as AlarmState, alarm: (quoted ?? bare)! });
    } else if (word !== undefined) {
      if (word === 'AT_LEAST') throw new RuleError('AT_LEAST is not supported here; say it with AND and OR.');
      tokens.push({ kind: 'word', text: word });
    } else tokens.push({ kind: 'sign', text: sign! });
  }
  return tokens;
}

/** Each once, as they are written. */
export function childrenOf(rule: CompositeRule): readonly string[] {
  const found = new Set<string>();
  function visit(each: CompositeRule): void {
    if (each.kind === 'state') found.add(each.alarm);
    if (each.kind === 'not') visit(each.of);
    if (each.kind === 'and' || each.kind === 'or') each.of.forEach(visit);
  }
  visit(rule);
  return [...found];
}

/** @param stateOf by what the rule calls an alarm; undefined for one that is gone, which is in no state. */
export function isMet(rule: CompositeRule, stateOf: (alarm: string) => AlarmState | undefined): boolean {
  switch (rule.kind) {
    case 'constant':
      return rule.value;
    case 'state':
      return stateOf(rule.alarm) === rule.state;
    case 'not':
      return !isMet(rule.of, stateOf);
    case 'and':
      return rule.of.every((each) => isMet(each, stateOf));
    case 'or':
      return rule.of.some((each) => isMet(each, stateOf));
  }
}

/**
 * A way from `name` back to itself, if there is one.
 * @param childrenOfAlarm the alarms that one names, itself by their names.
 */
export function circleThrough(
  name: string,
  childrenOfAlarm: (name: string) => readonly string[],
): readonly string[] | undefined {
  const seen = new Set<string>();
  const waiting: { readonly at: string; readonly path: readonly string[] }[] = [{ at: name, path: [name] }];
  for (let each = waiting.pop(); each !== undefined; each = waiting.pop()) {
    for (const child of childrenOfAlarm(each.at)) {
      if (child === name) return [...each.path, name];
      if (seen.has(child)) continue;
      seen.add(child);
      waiting.push({ at: child, path: [...each.path, child] });
    }
  }
  return undefined;
}

function unexpected(token: Token | undefined): RuleError {
  if (token === undefined) return new RuleError('The rule ends where something is missing.');
  const text = token.kind === 'state' ? `${token.state}(…)` : token.text;
  return new RuleError(`The rule has ${JSON.stringify(text.slice(0, 40))} where it can't be.`);
}
