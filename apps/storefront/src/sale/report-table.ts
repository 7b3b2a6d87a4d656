/** (pure) The report as a table for a terminal, and the rows that the HTML page shows as well. */
import { type ModeReport, modes, type SaleReport } from './report.ts';

export interface TableRow {
  readonly label: string;
  /** In the order none, ttl, larder. */
  readonly cells: readonly string[];
  /** What the row means, for those who meet the word first. */
  readonly note: string;
}

type Of = (mode: ModeReport) => string;

const perMode: readonly (readonly [label: string, of: Of, note: string])[] = [
  [
    'offered pages/s',
    (mode) => number(mode.offeredPerSecond, 0),
    'the same crowd in each mode, whether answered or not',
  ],
  ['answered pages/s', (mode) => number(mode.achievedPerSecond, 0), 'answered as they should be'],
  ['p50', (mode) => ms(mode.p50Ms), 'half of the pages were quicker, from the intended start'],
  ['p95', (mode) => ms(mode.p95Ms), '95 of 100 pages were quicker'],
  ['p99', (mode) => ms(mode.p99Ms), '99 of 100 pages were quicker'],
  ['slowest', (mode) => ms(mode.maxMs), 'visitors leave after 5 s'],
  ['errors', (mode) => whole(mode.errors), 'no answer in 5 s, a broken connection, or a failure'],
  ['orders', (mode) => whole(mode.orders), 'placed in the measured time'],
  [
    'database queries per page',
    (mode) => number(mode.databaseQueriesPerPage, 2),
    'statements sent to PostgreSQL',
  ],
  [
    'shop CPU per page',
    (mode) => `${number(mode.serverCpuMicrosPerPage, 0)} µs`,
    'of the shop processes alone',
  ],
  [
    'hits near / far',
    (mode) => `${percent(mode.hitRate.near)} / ${percent(mode.hitRate.far)}`,
    "from the process's own memory / from Valkey",
  ],
  [
    'loads per change (hot)',
    (mode) => number(mode.loadsPerHotChange, 2),
    'database loads of the hot product for each change of it',
  ],
  [
    'change visible p50 / p99',
    (mode) =>
      mode.priceChangesUnseen > 0
        ? `${orNever(mode.commitToVisibleMs.p50)} / ${mode.priceChangesUnseen} not in 3 s`
        : `${orNever(mode.commitToVisibleMs.p50)} / ${orNever(mode.commitToVisibleMs.p99)}`,
    'from COMMIT to the first page with the new price on every shop process',
  ],
  ['stale pages', (mode) => whole(mode.stalePages), 'beyond the bound, by the auditor'],
  ['oversold units', (mode) => whole(mode.oversoldUnits), 'sold without being there'],
];

export function tableRows(report: SaleReport): TableRow[] {
  const rows = perMode.map(([label, of, note]) => {
    return { label, note, cells: modes.map((mode) => of(report.modes[mode])) };
  });
  const most = report.saturationPagesPerSecond;
  return [
    ...rows,
    {
      label: 'most pages/s, warm',
      cells: modes.map((mode) => number(most[mode], 0)),
      note: `a page that never changes: ${number(most.static, 0)} pages/s on the same machine`,
    },
  ];
}

export function printedReport(report: SaleReport): string {
  const head = ['', 'no cache', 'TTL cache', 'Larder'];
  const lines = [head, ...tableRows(report).map((row) => [row.label, ...row.cells])];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const table = lines
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('   '),
    )
    .map((line) => `  ${line.trimEnd()}`);
  const promises = report.promises.map(
    ({ name, held, detail }) => `  ${held ? 'held    ' : 'NOT HELD'}  ${name}\n            ${detail}`,
  );
  const broken = report.promises.filter((promise) => !promise.held).length;
  return [
    '',
    ...table,
    '',
    ...promises,
    '',
    broken === 0
      ? `  All ${report.promises.length} promises held.`
      : `  ${broken} of ${report.promises.length} promises did not hold.`,
    '',
  ].join('\n');
}

export function ms(value: number): string {
  return value >= 10 ? `${number(value, 0)} ms` : `${number(value, 1)} ms`;
}

function orNever(value: number | null): string {
  return value === null ? 'never' : ms(value);
}

function percent(share: number): string {
  return `${number(share * 100, 0)} %`;
}

function whole(value: number): string {
  return number(value, 0);
}

function number(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
