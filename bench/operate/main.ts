/** `npm run bench -- operate`: what clients notice while a group is changed. */
import { type JudgedBar, judge } from '../bar.ts';
import { helpText, numberOption, parseOptions, UsageError } from '../command-line.ts';
import { describeMachine, finish, machineText, progress, runCommand } from '../run-report.ts';
import { figure, table } from '../table.ts';
import { type Figures, measure, type Operation } from './operation.ts';
import { operations } from './operations.ts';

const optionTexts = {
  only: { value: 'NAME,…', text: `of ${operations.map(({ name }) => name).join(', ')}` },
  runs: { value: 'N', text: 'how often each is measured, with a service of its own (1)' },
  json: { value: 'FILE', text: 'write every number there' },
};

interface Measured {
  readonly operation: Operation;
  readonly figures: readonly Figures[];
}

await runCommand(async () => {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose = 'Changes groups that serve, and counts what a writer and a reader notice of it.';
    process.stdout.write(`${helpText('npm run bench -- operate [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const runs = numberOption('runs', options.runs, { fallback: 1, least: 1, most: 100 });
  const chosen = choose(options.only);
  const machine = describeMachine();
  process.stdout.write(`${machineText(machine)}\n`);
  const measured: Measured[] = [];
  for (const operation of chosen) {
    const figures: Figures[] = [];
    for (let run = 0; run < runs; run += 1) {
      const one = await measure(operation, run + 1);
      figures.push(one);
      progress(`${operation.name} ${run + 1}/${runs}: ${JSON.stringify(one)}`);
    }
    measured.push({ operation, figures });
  }
  process.stdout.write(`\n${figureTable(measured)}\n`);
  return finish(
    {
      machine,
      runs,
      measured: measured.map(({ operation: { name, title }, figures }) => ({ name, title, figures })),
      bars: measured.flatMap(barsOf),
    },
    options.json,
  );
});

function choose(only: string | undefined): readonly Operation[] {
  if (only === undefined) return operations;
  return only.split(',').map((name) => {
    const found = operations.find((each) => each.name === name);
    if (found === undefined) throw new UsageError(`There is no operation ${name}.`);
    return found;
  });
}

/** One row for each run. */
function figureTable(measured: readonly Measured[]): string {
  return table(
    [
      'operation',
      'took ms',
      'p99 before ms',
      'p99 during ms',
      'worst ms',
      'client errors',
      'wrong reads',
      'lost',
      'whole copies',
    ],
    measured.flatMap(({ operation, figures }) =>
      figures.map((each) => [
        operation.title,
        ...[each.tookMs, each.p99BeforeMs, each.p99DuringMs, each.worstDuringMs].map(figure),
        ...[each.clientErrors, each.wrongReads, each.lost, each.wholeCopies].map(figure),
      ]),
    ),
  );
}

function barsOf({ operation: { title, limits }, figures }: Measured): JudgedBar[] {
  const atMost = (name: string, limit: number, unit: string, of: (each: Figures) => number) =>
    judge({ name: `${title}: ${name}`, better: 'lower', limit, unit, values: figures.map(of) });
  return [
    ...(limits.tookMs === undefined
      ? []
      : [atMost('from request to available', limits.tookMs, 'ms', (each) => each.tookMs)]),
    ...(limits.p99Ratio === undefined
      ? []
      : [
          atMost(
            'p99 during, of the one before',
            limits.p99Ratio,
            '×',
            (each) => each.p99DuringMs / each.p99BeforeMs,
          ),
        ]),
    ...(limits.worstMs === undefined
      ? []
      : [atMost('worst latency', limits.worstMs, 'ms', (each) => each.worstDuringMs)]),
    atMost('client errors', 0, '', (each) => each.clientErrors),
    atMost('wrong reads', 0, '', (each) => each.wrongReads),
    atMost('acknowledged writes lost', 0, '', (each) => each.lost),
  ];
}
