/** (pure) The report as one HTML file that needs nothing else: no network, no script. */
import { modeTitle } from './mode-title.ts';
import { type Mode, type ModeReport, modes, type Point, type SaleReport } from './report.ts';
import { ms, printedReport, tableRows } from './report-table.ts';
import { type ChartMark, escapeHtml, svgChart } from './svg-chart.ts';

export function reportHtml(report: SaleReport): string {
  const broken = report.promises.filter((promise) => !promise.held);
  const verdict =
    broken.length === 0
      ? `All ${report.promises.length} promises held.`
      : `${broken.length} of ${report.promises.length} promises did not hold.`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Flash sale: ${escapeHtml(verdict)}</title><style>${stylesheet}</style></head><body><main>
<h1>A flash sale, three ways</h1>
<p class="lead">${escapeHtml(headline(report))}</p>
<section><h2>Promises</h2><p>${escapeHtml(verdict)}</p><ul class="promises">${report.promises
    .map(
      ({ name, held, detail }) =>
        `<li class="${held ? 'held' : 'broken'}"><b>${held ? '✓ held' : '✕ not held'}</b> <span>${escapeHtml(name)}<br><span class="soft">${escapeHtml(detail)}</span></span></li>`,
    )
    .join('')}</ul></section>
<section><h2>The three modes</h2><div class="scroll"><table><thead><tr><th></th>${modes
    .map((mode) => `<th class="number">${modeTitle(mode)}</th>`)
    .join('')}<th></th></tr></thead><tbody>${tableRows(report)
    .map(
      (row) =>
        `<tr><th>${escapeHtml(row.label)}</th>${row.cells
          .map((cell) => `<td class="number">${escapeHtml(cell)}</td>`)
          .join('')}<td class="soft">${escapeHtml(row.note)}</td></tr>`,
    )
    .join('')}</tbody></table></div></section>
<section><h2>While it ran</h2>${charts(report)}</section>
<section><h2>The primary’s death</h2>${failover(report)}</section>
<section><h2>As fast as it goes</h2>${saturation(report)}</section>
<section><h2>Where and how</h2>${environment(report)}</section>
</main></body></html>
`;
}

/** One sentence with the numbers that matter most. */
export function headline({
  modes: { none, ttl, larder },
  freshness,
  failover: { writeGapMs },
}: SaleReport): string {
  return (
    `The same crowd of ${Math.round(larder.offeredPerSecond)} pages a second: p99 ${ms(none.p99Ms)} without a cache, ` +
    `${ms(ttl.p99Ms)} with a TTL cache that showed ${ttl.stalePages.toLocaleString('en')} stale pages, ` +
    `${ms(larder.p99Ms)} with Larder and ${larder.stalePages.toLocaleString('en')} stale pages; ` +
    `a price changed in SQL was visible after ${freshness.commitToVisibleMs.p99 === null ? 'an unknown time' : ms(freshness.commitToVisibleMs.p99)} (p99), ` +
    `and a killed primary was replaced in ${ms(writeGapMs)}.`
  );
}

const lineOf: Readonly<Record<Mode, string>> = { none: 'line-1', ttl: 'line-2', larder: 'line-3' };

function charts(report: SaleReport): string {
  const lines = (of: (point: Point) => number) =>
    modes.map((mode) => ({
      label: modeTitle(mode),
      style: lineOf[mode],
      points: measuredPoints(report.modes[mode]).map(({ seconds, point }) => [seconds, of(point)] as const),
    }));
  const marks = failoverMarks(report);
  const value = (of: (mode: ModeReport) => string): string =>
    modes.map((mode) => `${modeTitle(mode)} ${of(report.modes[mode])}`).join(', ');
  return [
    svgChart({
      title: 'p99 page time',
      unit: 'ms from the intended start, each half second, logarithmic',
      summary: `p99 over the whole sale: ${value((mode) => ms(mode.p99Ms))}.`,
      lines: lines((point) => point.p99Ms),
      marks,
      logarithmic: true,
    }),
    svgChart({
      title: 'Database queries',
      unit: 'per second',
      summary: `Queries per page: ${value((mode) => mode.databaseQueriesPerPage.toFixed(2))}.`,
      lines: lines((point) => point.databaseQueriesPerSecond),
      marks,
    }),
    svgChart({
      title: 'Stale pages served',
      unit: 'since the mode began',
      summary: `In the end: ${value((mode) => String(mode.stalePages))}.`,
      lines: lines((point) => point.stalePages),
      marks,
    }),
  ].join('');
}

function measuredPoints(mode: ModeReport): { seconds: number; point: Point }[] {
  const begin = beginOf(mode);
  return mode.points
    .filter((point) => point.measuring && point.atMs >= begin && point.offeredPerSecond > 0)
    .map((point) => ({ seconds: (point.atMs - begin) / 1_000, point }));
}

function beginOf(mode: ModeReport): number {
  return mode.events.find((event) => event.kind === 'measuring')?.atMs ?? mode.points[0]?.atMs ?? 0;
}

function failoverMarks({ modes: { larder }, failover: record }: SaleReport): ChartMark[] {
  return [{ seconds: (record.killedAtMs - beginOf(larder)) / 1_000, text: 'primary killed (Larder)' }];
}

function failover({ failover: record }: SaleReport): string {
  const events = record.events.map(
    (event) =>
      `<li>${event.atMs - record.killedAtMs >= 0 ? '+' : ''}${event.atMs - record.killedAtMs} ms: ${escapeHtml(event.message)}</li>`,
  );
  return `<p>The engine process of ${escapeHtml(record.killedMemberId)} was ended with SIGKILL in the middle of the sale. An
independent writer could not write for <b>${ms(record.writeGapMs)}</b>; ${record.failedRequests} of the visitors' requests failed.
${escapeHtml(record.promotedMemberId ?? 'No replica')} took over${
    record.promotionSeenAfterMs === null ? '' : `; the API said so after ${ms(record.promotionSeenAfterMs)}`
  }. A price changed ${record.priceChangedDuringGap ? 'while nobody could write to the cache' : 'right after the kill'} was visible ${
    record.priceVisibleAfterMs === null ? 'never' : `after ${ms(record.priceVisibleAfterMs)}`
  }.</p>${events.length === 0 ? '' : `<p>The service's own events, from the kill:</p><ul>${events.join('')}</ul>`}`;
}

function saturation({ saturation: measured, saturationPagesPerSecond: most }: SaleReport): string {
  const kinds = ['static', ...modes] as const;
  const rows = kinds.map((kind) => {
    const slices = measured.slices[kind];
    return `<tr><th>${kind === 'static' ? 'A page that never changes' : modeTitle(kind)}</th>
<td class="number">${Math.round(most[kind]).toLocaleString('en')}</td>
<td class="number">${Math.round(Math.min(...slices)).toLocaleString('en')} – ${Math.round(Math.max(...slices)).toLocaleString('en')}</td>
<td class="number">${Math.round(measured.serverCpuMicrosPerPage[kind])} µs</td></tr>`;
  });
  return `<p>Everything warm, no changes, ${measured.connections} connections that ask again at once. Slices of ${
    measured.sliceSeconds
  } s take turns, ${measured.slices.larder.length} rounds. The load generator uses the same cores.</p>
<div class="scroll"><table><thead><tr><th></th><th class="number">median pages/s</th><th class="number">from – to</th><th class="number">shop CPU per page</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></div>`;
}

function environment(report: SaleReport): string {
  const { environment: env } = report;
  const rows: [string, string][] = [
    ['Command', report.command],
    ['Started', report.startedAt],
    ['Took', `${report.durationSeconds.toFixed(0)} s`],
    [
      'Machine',
      `${env.cores} cores (${env.processor}), ${env.memoryGiB.toFixed(0)} GiB, ${env.operatingSystem}`,
    ],
    ['Software', `Node ${env.node}, ${env.engine}, PostgreSQL ${env.postgres}`],
    ['Shop', `${env.shopProcesses} processes per mode; ${JSON.stringify(env.data)}`],
    ['Seed', String(report.seed)],
  ];
  return `<div class="scroll"><table>${rows
    .map(([name, value]) => `<tr><th>${name}</th><td><code>${escapeHtml(value)}</code></td></tr>`)
    .join('')}</table></div>
<details><summary>The same as text</summary><pre>${escapeHtml(printedReport(report))}</pre></details>`;
}

const stylesheet = `
:root{color-scheme:light dark;--ink:#1f2421;--soft:#5f6b64;--paper:#f7f8f6;--card:#fff;--line:#dde2dd;--good:#1c7a4a;--bad:#b3261e;--l1:#8a5a00;--l2:#6a4bc4;--l3:#0b7a5c}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebe7;--soft:#9aa69f;--paper:#141815;--card:#1c211e;--line:#323a35;--good:#6bd39b;--bad:#ff9a8f;--l1:#e3b052;--l2:#b39dff;--l3:#5fd6b1}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:60rem;margin:auto;padding:2rem 1rem 4rem}h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}
.lead{font-size:1.15rem}.soft{color:var(--soft);font-size:.85rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:500}thead th{font-weight:600}.number{text-align:right;white-space:nowrap}.scroll{overflow-x:auto}
.promises{list-style:none;padding:0}.promises li{display:grid;grid-template-columns:7rem 1fr;gap:.5rem;padding:.5rem 0;border-bottom:1px solid var(--line)}
.held b{color:var(--good)}.broken b{color:var(--bad)}
figure{margin:0 0 1.5rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem}
svg{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.axis,.mark-text{fill:var(--soft);font-size:11px}
.mark{stroke:var(--bad);stroke-dasharray:3 3}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line-1{stroke:var(--l1);background:var(--l1)}.line-2{stroke:var(--l2);background:var(--l2)}.line-3{stroke:var(--l3);background:var(--l3)}
polyline.line-2{stroke-dasharray:6 3}polyline.line-1{stroke-dasharray:2 3}
.legend{float:right;display:inline-flex;gap:1rem;font-size:.85rem}.swatch{display:inline-block;width:.9rem;height:.25rem;margin-right:.4rem;vertical-align:middle}
code,pre{font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap}pre{white-space:pre;overflow-x:auto}
`;
