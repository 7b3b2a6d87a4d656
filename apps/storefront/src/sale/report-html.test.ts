import { expect, test } from 'vitest';
import { exampleReport } from './report-fixture.ts';
import { reportHtml } from './report-html.ts';
import { printedReport } from './report-table.ts';
import { svgChart } from './svg-chart.ts';

const promises = [
  { name: 'larder: nothing is oversold', held: true, detail: '0 of 700' },
  { name: 'larder: <fast>', held: false, detail: '0.5 & less' },
];

test('the page needs nothing from elsewhere and runs no script', () => {
  const html = reportHtml(exampleReport({ promises }));
  expect(html).not.toMatch(/https?:\/\/|<script|<link|@import|url\(/);
  expect(html.startsWith('<!doctype html>')).toBe(true);
});

test('what came from outside is escaped, and each promise says in words whether it held', () => {
  const html = reportHtml(exampleReport({ promises }));
  expect(html).toContain('A processor &lt;with&gt; signs');
  expect(html).toContain('larder: &lt;fast&gt;');
  expect(html).toContain('✓ held');
  expect(html).toContain('✕ not held');
  expect(html).toContain('1 of 2 promises did not hold.');
});

test('the printed table names the modes, the numbers and the broken promise', () => {
  const text = printedReport(exampleReport({ promises }));
  expect(text).toMatch(/no cache +TTL cache +Larder/);
  expect(text).toMatch(/p99 +3,000 ms +20 ms +20 ms/);
  expect(text).toContain('NOT HELD  larder: <fast>');
  expect(text).not.toMatch(/[ \t]+$/m);
});

test('a chart draws each line within its frame, and nothing when there is nothing', () => {
  const line = {
    label: 'Larder',
    style: 'line-3',
    points: [
      [0, 1],
      [10, 5_000],
    ] as const,
  };
  const chart = {
    title: 't',
    summary: 's',
    unit: 'ms',
    lines: [line],
    marks: [{ seconds: 5, text: 'kill' }],
  };
  const points = /points="([^"]+)"/.exec(svgChart({ ...chart, logarithmic: true }))![1]!;
  for (const pair of points.split(' ')) {
    const [x, y] = pair.split(',').map(Number);
    expect(x).toBeGreaterThanOrEqual(56);
    expect(x).toBeLessThanOrEqual(708);
    expect(y).toBeGreaterThanOrEqual(26);
    expect(y).toBeLessThanOrEqual(202);
  }
  expect(svgChart({ ...chart, lines: [{ ...line, points: [] }], marks: [] })).toContain('points=""');
});
