/** Plain text tables. Pure. */
import type { JudgedBar } from './bar.ts';
import type { Spread } from './statistics.ts';

/** Columns as wide as they need; every column but the first is set to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    head
      .map((_, column) => {
        const cell = cells[column] ?? '';
        return column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
      })
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Four digits that matter, with separators from 10,000 on. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) || Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}

/** `median [q1..q3]` */
export function spreadText({ median, q1, q3, count }: Spread): string {
  return count < 2 ? figure(median) : `${figure(median)} [${figure(q1)}..${figure(q3)}]`;
}

export function barTable(bars: readonly JudgedBar[]): string {
  return table(
    ['bar', 'wanted', 'measured', 'verdict'],
    bars.map(({ name, better, limit, unit, spread, verdict }) => [
      name,
      `${better === 'higher' ? '≥' : '≤'} ${figure(limit)}${unit === '' ? '' : ` ${unit}`}`,
      spreadText(spread),
      verdict,
    ]),
  );
}
