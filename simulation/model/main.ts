/** `npm run model`: checks every protocol and compares with what must come out. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Bounds } from './database.ts';
import { type Variant, variants } from './variants.ts';

const usage = `Checks the fill protocol over every interleaving of a few transactions, fillers and faults,
and that the checker finds the faults of protocols known to be wrong.

npm run model -- [--only NAME] [--transactions N] [--fillers N] [--json FILE]

  --only NAME        only variants whose name contains NAME; prints counterexamples of those that fail as they should
  --transactions N   default 3; column T has fewer where faults multiply the states
  --fillers N        default 2
  --json FILE        writes the table there
Exit 1 when anything is not as expected.
`;

interface Row {
  readonly variant: string;
  readonly ours: boolean;
  readonly transactions: number;
  readonly expected: string;
  readonly found: string;
  readonly states: number;
  readonly transitions: number;
  readonly ms: number;
  readonly schedule: readonly string[];
  readonly violation?: string;
}

function main(): number {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      transactions: { type: 'string', default: '3' },
      fillers: { type: 'string', default: '2' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const bounds = {
    transactions: smallNumber('transactions', values.transactions),
    fillers: smallNumber('fillers', values.fillers),
  };
  const { only } = values;
  const chosen = variants.filter(({ name }) => only === undefined || name.includes(only));
  if (chosen.length === 0) {
    process.stderr.write(`No variant is called ${only}. There are:\n`);
    for (const { name } of variants) process.stderr.write(`  ${name}\n`);
    return 1;
  }
  process.stdout.write(`${bounds.transactions} transactions, ${bounds.fillers} fillers\n\n`);
  process.stdout.write(
    `${line({ variant: 'variant', transactions: 'T', expected: 'expected', found: 'found', states: 'states', ms: 'ms' })}\n`,
  );
  const rows = chosen.map((variant) => checkOne(variant, bounds));
  for (const row of rows) {
    const unexpected = row.found !== row.expected;
    if (row.schedule.length > 0 && (unexpected || only !== undefined))
      process.stdout.write(`\n${story(row)}`);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ bounds, rows }, null, 2)}\n`);
  const wrong = rows.filter(({ expected, found }) => expected !== found);
  const states = rows.reduce((sum, row) => sum + row.states, 0);
  process.stdout.write('\n* what this library does\n');
  process.stdout.write(`${rows.length} variants, ${states} states, ${wrong.length} not as expected\n`);
  return wrong.length === 0 ? 0 : 1;
}

function checkOne(variant: Variant, bounds: Bounds): Row {
  const { name, ours, expected } = variant;
  const began = performance.now();
  const verdict = variant.run(bounds);
  const row: Row = {
    variant: name,
    ours,
    transactions: Math.min(bounds.transactions, variant.mostTransactions),
    expected,
    found: verdict.holds ? 'holds' : 'fails',
    states: verdict.states,
    transitions: verdict.transitions,
    ms: Math.round(performance.now() - began),
    schedule: verdict.schedule,
    ...(verdict.violation === undefined ? {} : { violation: verdict.violation }),
  };
  const mark = row.found === row.expected ? '' : '   <-- not as expected';
  process.stdout.write(
    `${line({ ...row, variant: (ours ? '* ' : '  ') + name, transactions: String(row.transactions), states: String(row.states), ms: String(row.ms) })}${mark}\n`,
  );
  return row;
}

function line(row: {
  readonly variant: string;
  readonly transactions: string;
  readonly expected: string;
  readonly found: string;
  readonly states: string;
  readonly ms: string;
}): string {
  return [
    row.variant.padEnd(46),
    row.transactions.padStart(2),
    row.expected.padEnd(9),
    row.found.padEnd(6),
    row.states.padStart(9),
    row.ms.padStart(7),
  ].join(' ');
}

function story({ variant, schedule, violation }: Row): string {
  const steps = schedule.map((step, index) => `  ${String(index + 1).padStart(2)}. ${step}\n`).join('');
  return `${variant}: a shortest run to a stale read\n${steps}   => ${violation}\n`;
}

function smallNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 5) {
    process.stderr.write(`--${name} must be a whole number from 1 to 5.\n`);
    process.exit(2);
  }
  return value;
}

process.exitCode = main();
