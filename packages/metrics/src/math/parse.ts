/** (pure) Metric math as a tree. From loosest to tightest: OR, AND, comparison, + -, * /, unary -, ^. */
import { MathError } from './math-error.ts';
import { type Token, tokenise } from './tokenise.ts';

export type BinaryOperator =
  | ('+' | '-' | '*' | '/' | '^')
  | ('==' | '!=' | '<' | '<=' | '>' | '>=')
  | ('AND' | 'OR');

export type Expression =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  /** In lower case at its start: a query's id. In upper case: a word that a function takes, such as `REPEAT`. */
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'negate'; readonly of: Expression }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'call'; readonly name: string; readonly given: readonly Expression[] };

export const mostDepth = 50;

const levels: readonly (readonly BinaryOperator[])[] = [
  ['OR'],
  ['AND'],
  ['==', '!=', '<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/'],
];

/** @throws MathError */
export function parseExpression(text: string): Expression {
  const tokens = tokenise(text);
  let next = 0;

  const peek = (): Token | undefined => tokens[next];
  const isSign = (value: string) => peek()?.kind === 'sign' && peek()?.value === value;
  function expectSign(value: string): void {
    if (!isSign(value)) throw unexpected(peek(), `"${value}"`);
    next += 1;
  }

  function operatorOf(token: Token | undefined): string | undefined {
    if (token?.kind === 'name')
      return token.value === 'AND' || token.value === 'OR' ? token.value : undefined;
    if (token?.kind !== 'sign') return undefined;
    return token.value === '&&' ? 'AND' : token.value === '||' ? 'OR' : token.value;
  }

  function binary(level: number, depth: number): Expression {
    const operators = levels[level];
    if (operators === undefined) return unary(depth);
    let left = binary(level + 1, depth);
    // Each step nests the left side once more: a long chain is as deep as parentheses.
    for (let chain = depth; ; chain += 1) {
      const operator = operators.find((each) => each === operatorOf(peek()));
      if (operator === undefined) return left;
      if (chain > mostDepth * 4) throw tooDeep();
      next += 1;
      left = { kind: 'binary', operator, left, right: binary(level + 1, depth) };
    }
  }

  function unary(depth: number): Expression {
    if (depth > mostDepth) throw tooDeep();
    if (isSign('-')) {
      next += 1;
      return { kind: 'negate', of: unary(depth + 1) };
    }
    if (isSign('+')) {
      next += 1;
      return unary(depth + 1);
    }
    const base = primary(depth);
    if (!isSign('^')) return base;
    next += 1;
    return { kind: 'binary', operator: '^', left: base, right: unary(depth + 1) };
  }

  function primary(depth: number): Expression {
    const token = peek();
    if (token === undefined) throw unexpected(token, 'a value');
    if (token.kind === 'number' || token.kind === 'text') {
      next += 1;
      return token.kind === 'number'
        ? { kind: 'number', value: token.value }
        : { kind: 'text', value: token.value };
    }
    if (token.kind === 'name' && operatorOf(token) === undefined) {
      next += 1;
      if (!isSign('(')) return { kind: 'name', name: token.value };
      next += 1;
      return { kind: 'call', name: token.value, given: listUntil(')', depth) };
    }
    if (isSign('(')) {
      next += 1;
      const inside = binary(0, depth + 1);
      expectSign(')');
      return inside;
    }
    if (isSign('[')) {
      next += 1;
      return { kind: 'list', items: listUntil(']', depth) };
    }
    throw unexpected(token, 'a value');
  }

  function listUntil(end: string, depth: number): readonly Expression[] {
    const items: Expression[] = [];
    if (!isSign(end)) {
      items.push(binary(0, depth + 1));
      while (isSign(',')) {
        next += 1;
        items.push(binary(0, depth + 1));
      }
    }
    expectSign(end);
    return items;
  }

  const expression = binary(0, 0);
  if (next < tokens.length) throw unexpected(peek(), 'the end');
  return expression;
}

/** Every part of it, the whole first. */
export function* partsOf(expression: Expression): Generator<Expression> {
  yield expression;
  if (expression.kind === 'negate') yield* partsOf(expression.of);
  if (expression.kind === 'binary') {
    yield* partsOf(expression.left);
    yield* partsOf(expression.right);
  }
  const inside =
    expression.kind === 'list' ? expression.items : expression.kind === 'call' ? expression.given : [];
  for (const each of inside) yield* partsOf(each);
}

function unexpected(token: Token | undefined, wanted: string): MathError {
  const found =
    token === undefined
      ? 'the expression ends'
      : `there is ${JSON.stringify(String(token.value).slice(0, 40))} at ${token.at + 1}`;
  return new MathError(`The expression needs ${wanted} where ${found}.`);
}

function tooDeep(): MathError {
  return new MathError(`The expression nests deeper than ${mostDepth}.`);
}
