/** (pure) What an expression of metric math is worth, given the series that it names. */
import { type FunctionContext, mathFunctions } from './functions.ts';
import { MathError } from './math-error.ts';
import { type BinaryOperator, type Expression, partsOf } from './parse.ts';
import { combine, mapPoints, type Series, scalar, type Value } from './series.ts';

export interface Environment extends FunctionContext {
  /** What the query of that id is; undefined when there is none. */
  readonly valueOf: (id: string) => Value | undefined;
  /** The series of every query for a metric, in the order of the request, with the query's id. */
  readonly metrics: readonly { readonly id: string; readonly series: Series }[];
  /** What a search of the expression found. */
  readonly found: (search: Search) => readonly Series[];
}

/** `SEARCH('{Namespace,Dimension} words', 'Average', 60)` */
export interface Search {
  readonly text: string;
  readonly statistic: string;
  /** Missing: the period of the query. */
  readonly periodSeconds?: number;
}

/** Known in CloudWatch, and not here. */
const notHere = new Set([
  ...['ANOMALY_DETECTION_BAND', 'DB_PERF_INSIGHTS', 'INSIGHT_RULE_METRIC', 'LAMBDA', 'SERVICE_QUOTA'],
  ...['CORREL', 'SELECT'],
]);

/** What an expression needs to be known before it is evaluated. @throws MathError for a function that is not known. */
export function needsOf(expression: Expression): {
  readonly ids: ReadonlySet<string>;
  readonly searches: readonly Search[];
  readonly usesAllMetrics: boolean;
} {
  const ids = new Set<string>();
  const searches: Search[] = [];
  let usesAllMetrics = false;
  for (const part of partsOf(expression)) {
    if (part.kind === 'name' && isId(part.name)) ids.add(part.name);
    if (part.kind !== 'call') continue;
    if (part.name === 'SEARCH') searches.push(searchOf(part.given));
    else if (part.name === 'METRICS') usesAllMetrics = true;
    else if (!mathFunctions.has(part.name)) {
      throw new MathError(
        notHere.has(part.name)
          ? `The function ${part.name} is not supported here.`
          : `There is no function ${part.name.slice(0, 40)}.`,
      );
    }
  }
  return { ids, searches, usesAllMetrics };
}

function isId(name: string): boolean {
  return /^[a-z]/.test(name);
}

function searchOf(given: readonly Expression[]): Search {
  const [text, statistic, period] = given;
  const isWhole = period === undefined || (period.kind === 'number' && Number.isInteger(period.value));
  if (text?.kind !== 'text' || statistic?.kind !== 'text' || !isWhole || given.length > 3) {
    throw new MathError("SEARCH is used as SEARCH('{Namespace,Dimension} words', 'Average', 60).");
  }
  return {
    text: text.value,
    statistic: statistic.value,
    ...(period?.kind === 'number' && { periodSeconds: period.value }),
  };
}

/** @throws MathError */
export function evaluate(expression: Expression, environment: Environment): Value {
  switch (expression.kind) {
    case 'number':
      return scalar(expression.value);
    case 'text':
      return { kind: 'text', text: expression.value };
    case 'name': {
      if (!isId(expression.name)) return { kind: 'word', word: expression.name };
      const value = environment.valueOf(expression.name);
      if (value === undefined) throw new MathError(`No query has the Id ${expression.name.slice(0, 60)}.`);
      return value;
    }
    case 'negate':
      return onNumbers(evaluate(expression.of, environment), (value) => -value);
    case 'list':
      return arrayOf(expression.items.map((each) => evaluate(each, environment)));
    case 'binary':
      return binary(
        expression.operator,
        evaluate(expression.left, environment),
        evaluate(expression.right, environment),
      );
    case 'call':
      return call(expression, environment);
  }
}

function call({ name, given }: Expression & { kind: 'call' }, environment: Environment): Value {
  if (name === 'SEARCH') return { kind: 'array', items: environment.found(searchOf(given)) };
  if (name === 'METRICS') {
    const [part, ...others] = given;
    if ((part !== undefined && part.kind !== 'text') || others.length > 0) {
      throw new MathError("METRICS is used as METRICS() or METRICS('part of an Id').");
    }
    const chosen = environment.metrics.filter(({ id }) => part === undefined || id.includes(part.value));
    return { kind: 'array', items: chosen.map(({ series }) => series) };
  }
  const found = mathFunctions.get(name);
  if (found === undefined) throw new MathError(`There is no function ${name.slice(0, 40)}.`);
  const { usage, least, most, run } = found;
  if (given.length < least || given.length > most) throw new MathError(`It is used as ${usage}.`);
  return run(
    given.map((each) => evaluate(each, environment)),
    environment,
    usage,
  );
}

function arrayOf(values: readonly Value[]): Value {
  const items = values.flatMap((value) => {
    if (value.kind === 'series') return [value.series];
    if (value.kind === 'array') return value.items;
    throw new MathError('An array in [ ] can only hold series.');
  });
  return { kind: 'array', items };
}

const operators: Readonly<Record<BinaryOperator, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '^': (a, b) => a ** b,
  '==': (a, b) => Number(a === b),
  '!=': (a, b) => Number(a !== b),
  '<': (a, b) => Number(a < b),
  '<=': (a, b) => Number(a <= b),
  '>': (a, b) => Number(a > b),
  '>=': (a, b) => Number(a >= b),
  AND: (a, b) => Number(a !== 0 && b !== 0),
  OR: (a, b) => Number(a !== 0 || b !== 0),
};

function binary(operator: BinaryOperator, left: Value, right: Value): Value {
  const with_ = operators[operator];
  if (right.kind === 'scalar') return onNumbers(left, (value) => with_(value, right.value));
  if (left.kind === 'scalar') return onNumbers(right, (value) => with_(left.value, value));
  if (left.kind === 'series' && right.kind === 'series') {
    return { kind: 'series', series: combine(left.series, right.series, with_) };
  }
  if (left.kind === 'array' && right.kind === 'series') {
    return { kind: 'array', items: left.items.map((each) => combine(each, right.series, with_)) };
  }
  if (left.kind === 'series' && right.kind === 'array') {
    const items = right.items.map((each) => ({
      ...combine(left.series, each, with_),
      label: each.label,
    }));
    return { kind: 'array', items };
  }
  if (left.kind === 'array' && right.kind === 'array') {
    throw new MathError(`${operator} can't be used between two arrays.`);
  }
  throw notANumber();
}

function onNumbers(value: Value, change: (value: number) => number): Value {
  if (value.kind === 'scalar') {
    const changed = change(value.value);
    if (Number.isFinite(changed)) return scalar(changed);
    throw new MathError('A number of the expression is divided by zero, or too large.');
  }
  if (value.kind === 'series') return { kind: 'series', series: mapPoints(value.series, change) };
  if (value.kind === 'array') {
    return { kind: 'array', items: value.items.map((each) => mapPoints(each, change)) };
  }
  throw notANumber();
}

function notANumber(): MathError {
  return new MathError('A text or a word has no value to calculate with.');
}
