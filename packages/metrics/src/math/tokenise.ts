/** (pure) An expression of metric math as tokens. */
import { MathError } from './math-error.ts';

export type Token =
  | { readonly kind: 'number'; readonly value: number; readonly at: number }
  | { readonly kind: 'text'; readonly value: string; readonly at: number }
  /** An id of a query, the name of a function, or a word such as `REPEAT`. */
  | { readonly kind: 'name'; readonly value: string; readonly at: number }
  | { readonly kind: 'sign'; readonly value: string; readonly at: number };

/** CloudWatch's own bound of an expression. */
export const mostExpressionLength = 2048;

const SPACE = /\s+/y;
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?/y;
const NAME = /[A-Za-z][A-Za-z0-9_]*/y;
const TEXT = /'([^']*)'|"([^"]*)"/y;
const SIGN = /&&|\|\||==|!=|<=|>=|[-+*/^<>(),[\]]/y;

/** @throws MathError */
export function tokenise(expression: string): readonly Token[] {
  if (expression.length > mostExpressionLength) {
    throw new MathError(`An expression can have up to ${mostExpressionLength} characters.`);
  }
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(expression);
  };
  while (at < expression.length) {
    const start = at;
    const space = take(SPACE);
    const number = space ? null : take(NUMBER);
    const name = space || number ? null : take(NAME);
    const text = space || number || name ? null : take(TEXT);
    const sign = space || number || name || text ? null : take(SIGN);
    const match = space ?? number ?? name ?? text ?? sign;
    if (match === null) {
      throw new MathError(
        `The expression can't be read at ${JSON.stringify(expression.slice(at, at + 20))}.`,
      );
    }
    at += match[0].length;
    if (number) {
      const value = Number(number[0]);
      if (!Number.isFinite(value)) throw new MathError(`${number[0]} is too large for a number.`);
      tokens.push({ kind: 'number', value, at: start });
    } else if (name) tokens.push({ kind: 'name', value: name[0], at: start });
    else if (text) tokens.push({ kind: 'text', value: text[1] ?? text[2] ?? '', at: start });
    else if (sign) tokens.push({ kind: 'sign', value: sign[0], at: start });
  }
  return tokens;
}
