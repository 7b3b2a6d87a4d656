/** (pure) The coverage as the page that is committed, and back again as far as the next run needs it. */
import { type Coverage, type ErrorCoverage, isGreen, type OperationCoverage } from './coverage.ts';

const green = '✅';
const seen = '✓';

export function renderTable({ totals, operations, errors }: Coverage): string {
  return `# What tests saw of ElastiCache's API

Written by \`npm run coverage:api\`, from what tests saw; do not edit. A row is green (${green}) only when a test saw the
operation's effect from outside: at an engine with a client, in the process table, or in what a service still knew that
had been killed. That a handler answered counts for nothing.

| | |
|---|---|
| operations with an effect seen | **${totals.effect} of ${totals.operations}** |
| operations that were seen saying that they have none here | ${totals.refusal} |
| operations with neither | ${totals.unseen} |
| operations whose every member goes through unchanged, both ways | ${totals.decoded} |
| operations seen refusing a wrong or missing parameter | ${totals.validated} |
| modelled error codes seen on the wire, with the model's HTTP status | **${totals.errorsSeen} of ${totals.errors}** |
| modelled error codes that no rule here can produce | ${totals.errorsWithoutRule} |

## Operations

- **decoded**: the AWS SDK's requests with random members arrived as they were sent, and random answers were read as given.
- **validated**: a wrong or missing parameter was refused with a code that says so.
- **effect**: what was seen, and where. In italics: what an operation answers that has no effect here.

| operation | decoded | validated | effect | errors seen |
|---|---|---|---|---|
${operations.map(operationRow).join('\n')}

## Errors

| code | status | seen | by |
|---|---|---|---|
${errors.map(errorRow).join('\n')}
`;
}

/** The operations that are green in a page made by `renderTable`. */
export function greenRows(page: string): string[] {
  return [...page.matchAll(/^\| (\w+) \|[ ✓]*\|[ ✓]*\| ✅/gmu)].map(([, operation]) => operation!);
}

function operationRow(row: OperationCoverage): string {
  const effect = isGreen(row)
    ? `${green} ${row.effects.map(cell).join('; ')}`
    : row.refusal === undefined
      ? 'nothing seen'
      : `*${cell(row.refusal)}*`;
  const cells = [mark(row.decoded), mark(row.validated), effect, row.errors.map(cell).join(', ')];
  return `| ${row.operation} | ${cells.join(' | ')} |`;
}

const mostNamed = 4;

function errorRow({ code, httpStatus, seen: found, rule, operations }: ErrorCoverage): string {
  const why = rule ? 'no test saw it' : 'no rule here produces it';
  const more = operations.length - mostNamed;
  const by =
    found === 'no' ? why : operations.slice(0, mostNamed).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return `| ${code} | ${httpStatus} | ${found === 'yes' ? seen : found === 'no' ? '' : '✗ wrong status'} | ${by} |`;
}

function mark(held: boolean): string {
  return held ? seen : '';
}

/** Text that can't end its cell. */
function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('*', '\\*');
}
