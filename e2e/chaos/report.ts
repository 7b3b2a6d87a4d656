/** (pure) The results as tables: for the screen and for the documentation. */
import { figure, table } from '../../bench/table.ts';
import type { Figures } from './judge-history.ts';
import { type ScenarioResult, summaryOf } from './scenario-result.ts';

const head = [
  'fault',
  'runs',
  'write gap ms: median / p95 / max',
  'new primary after ms: median / p95',
  'other shards ms: p95',
  'worst latency ms: p95 / max',
  'lost',
  'zombies',
  'two primaries ms',
  'full resyncs a run',
  'reads back',
  'client errors a run',
];

export function resultTable(results: readonly ScenarioResult[]): string {
  return table(head, results.map(cells));
}

/** The same for Markdown. */
export function markdownTable(results: readonly ScenarioResult[]): string {
  const line = (each: readonly string[]) => `| ${each.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...results.map((each) => line(cells(each)))].join('\n');
}

function cells({ title, figures, failures }: ScenarioResult): string[] {
  const of = (name: keyof Figures) => summaryOf(figures, name);
  const ms = (value: number) => (Number.isNaN(value) ? '–' : figure(Math.round(value)));
  const perRun = (name: keyof Figures) => figure(Math.round((of(name).total / figures.length) * 10) / 10);
  const [gap, successor, latency] = [of('gapMs'), of('successorMs'), of('worstLatencyMs')];
  const runs =
    failures.length === 0 ? `${figures.length}` : `${figures.length} (${failures.length} not healed)`;
  if (figures.length === 0) return [title, runs];
  return [
    title,
    runs,
    `${ms(gap.median)} / ${ms(gap.p95)} / ${ms(gap.max)}`,
    `${ms(successor.median)} / ${ms(successor.p95)}`,
    ms(of('otherShardsGapMs').p95),
    `${ms(latency.p95)} / ${ms(latency.max)}`,
    lossOf(of('lost').total, of('acknowledged').total),
    figure(of('zombies').total),
    ms(of('splitBrainMs').max),
    perRun('fullSyncs'),
    figure(of('staleReads').total),
    perRun('clientErrors'),
  ];
}

function lossOf(lost: number, acknowledged: number): string {
  return `${figure(lost)} of ${figure(acknowledged)}`;
}
