/**
 * (pure) CloudWatch Logs' filter patterns, the part of them that is served: terms (`ERROR "in time" -DEBUG ?WARN`) and conditions
 * on JSON (`{ $.Role = "M" && $.["Duration (us)"] > 10000 }`).
 */

export class FilterPatternError extends Error {
  override name = 'FilterPatternError';
}

export type MessageFilter = (message: string) => boolean;

const mostParts = 50;

/** @throws FilterPatternError, whose message says what was expected. */
export function parseFilterPattern(pattern: string): MessageFilter {
  const text = pattern.trim();
  if (text === '') return () => true;
  return text.startsWith('{') ? parseJsonPattern(text) : parseTerms(text);
}

/** All plain ones are there, none of those with `-`, and of those with `?` any one, if there are any. */
function parseTerms(text: string): MessageFilter {
  const all: string[] = [];
  const none: string[] = [];
  const any: string[] = [];
  const term = /\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))/y;
  while (term.lastIndex < text.length) {
    const found = term.exec(text);
    if (found === null) throw new FilterPatternError('a quote is not closed');
    const [, sign, quoted, plain] = found;
    const wanted = quoted === undefined ? plain! : quoted.replace(/\\(.)/g, '$1');
    if (quoted === undefined && /[^\w.:/@-]/.test(wanted)) {
      throw new FilterPatternError(`the term ${wanted.slice(0, 60)} must be in quotes`);
    }
    (sign === '-' ? none : sign === '?' ? any : all).push(wanted);
  }
  if (all.length + none.length + any.length > mostParts) {
    throw new FilterPatternError(`there can be up to ${mostParts} terms`);
  }
  return (message) =>
    all.every((each) => message.includes(each)) &&
    !none.some((each) => message.includes(each)) &&
    (any.length === 0 || any.some((each) => message.includes(each)));
}

type JsonFilter = (value: unknown) => boolean;

/** `||` binds less than `&&`; parentheses group. */
function parseJsonPattern(text: string): MessageFilter {
  const tokens = tokenize(text);
  let at = 0;
  let depth = 0;
  const peek = () => tokens[at];
  const expect = (wanted: string) => {
    if (tokens[at] !== wanted) {
      throw new FilterPatternError(
        `${wanted} is expected${at < tokens.length ? ` before ${tokens[at]}` : ' at the end'}`,
      );
    }
    at += 1;
  };

  function either(): JsonFilter {
    const parts = [both()];
    while (peek() === '||') {
      at += 1;
      parts.push(both());
    }
    return (value) => parts.some((part) => part(value));
  }

  function both(): JsonFilter {
    const parts = [one()];
    while (peek() === '&&') {
      at += 1;
      parts.push(one());
    }
    return (value) => parts.every((part) => part(value));
  }

  function one(): JsonFilter {
    if (peek() !== '(') return condition();
    depth += 1;
    if (depth > 10) throw new FilterPatternError('parentheses are nested too deeply');
    at += 1;
    const inner = either();
    expect(')');
    depth -= 1;
    return inner;
  }

  function condition(): JsonFilter {
    const path = readPath(tokens[at]);
    at += 1;
    const operator = tokens[at] ?? 'nothing';
    at += 1;
    if (operator === 'IS' || operator === 'NOT') {
      const word = tokens[at];
      at += 1;
      if (operator === 'NOT' && word === 'EXISTS') return (value) => find(value, path) === undefined;
      if (operator === 'IS' && word === 'NULL') return (value) => find(value, path) === null;
      if (operator === 'IS' && word === 'TRUE') return (value) => find(value, path) === true;
      if (operator === 'IS' && word === 'FALSE') return (value) => find(value, path) === false;
      throw new FilterPatternError('IS NULL, IS TRUE, IS FALSE or NOT EXISTS is expected');
    }
    const operand = tokens[at];
    at += 1;
    const matches = comparison(operator, operand);
    return (value) => {
      const found = find(value, path);
      return found !== undefined && matches(found);
    };
  }

  expect('{');
  const filter = either();
  expect('}');
  if (at < tokens.length) throw new FilterPatternError(`nothing is expected after }, not ${tokens[at]}`);
  return (message) => {
    if (!message.startsWith('{')) return false;
    try {
      return filter(JSON.parse(message));
    } catch (error) {
      if (error instanceof SyntaxError) return false;
      throw error;
    }
  };
}

const token =
  /\s*(\$(?:\.\[(?:"[^"]*"|'[^']*')\]|\.[\w-]+|\[\d+\])+|"(?:[^"\\]|\\.)*"|&&|\|\||[<>!]=|[=<>(){}]|[\w.*:/@%+-]+)/y;

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const from = token.lastIndex;
    const found = token.exec(text);
    if (found === null) {
      if (text.slice(from).trim() === '') break;
      throw new FilterPatternError(`${text.slice(from, from + 20).trim()} is not understood`);
    }
    tokens.push(found[1]!);
  }
  if (tokens.length > mostParts * 4) throw new FilterPatternError('it has too many conditions');
  return tokens;
}

function readPath(text: string | undefined): readonly string[] {
  if (text === undefined || !text.startsWith('$')) {
    throw new FilterPatternError('a condition begins with a property, such as $.Role or $.["Duration (us)"]');
  }
  return [...text.matchAll(/\.\[(?:"([^"]*)"|'([^']*)')\]|\.([\w-]+)|\[(\d+)\]/g)].map(
    ([, double, single, name, index]) => double ?? single ?? name ?? index!,
  );
}

function find(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found;
}

function comparison(operator: string, operand: string | undefined): (found: unknown) => boolean {
  if (operand === undefined || /^[(){}]|^[&|=<>!]/.test(operand)) {
    throw new FilterPatternError(`a value is expected after ${operator}`);
  }
  const isQuoted = operand.startsWith('"');
  const text = isQuoted ? operand.slice(1, -1).replace(/\\(.)/g, '$1') : operand;
  const number = Number(text);
  const isNumber = !isQuoted && text !== '' && Number.isFinite(number);
  const equals = isNumber
    ? (found: unknown) => found === number
    : (found: unknown) => typeof found === 'string' && matchesWildcards(found, text);
  if (operator === '=') return equals;
  if (operator === '!=') return (found) => !equals(found);
  if (!['<', '<=', '>', '>='].includes(operator)) {
    throw new FilterPatternError(`=, !=, <, <=, > or >= is expected, not ${operator}`);
  }
  if (!isNumber) throw new FilterPatternError(`${operator} compares with a number, not ${operand}`);
  return (found) => {
    if (typeof found !== 'number') return false;
    if (operator === '<') return found < number;
    if (operator === '<=') return found <= number;
    return operator === '>' ? found > number : found >= number;
  };
}

/** `*` stands for anything. Piece by piece: a pattern can't make it slow. */
function matchesWildcards(text: string, pattern: string): boolean {
  const pieces = pattern.split('*');
  const last = pieces.pop()!;
  if (pieces.length === 0) return text === last;
  const first = pieces.shift()!;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of pieces) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
