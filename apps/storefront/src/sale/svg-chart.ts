/** (pure) A small line chart as SVG, with marked events: readable without a script, in print and in the dark. */

export interface ChartLine {
  readonly label: string;
  /** A CSS class that sets the stroke, `line-1` to `line-3`. */
  readonly style: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

export interface ChartMark {
  readonly seconds: number;
  readonly text: string;
}

export interface Chart {
  readonly title: string;
  /** One sentence that says what there is to see, for those who cannot see it. */
  readonly summary: string;
  readonly unit: string;
  readonly lines: readonly ChartLine[];
  readonly marks: readonly ChartMark[];
  /** A logarithmic axis from 1 upwards, for values that differ by powers of ten. */
  readonly logarithmic?: boolean;
}

const width = 720;
const height = 230;
const left = 56;
const right = 12;
const top = 26;
const bottom = 28;

export function svgChart(chart: Chart): string {
  const all = chart.lines.flatMap((line) => line.points);
  const lastSecond = Math.max(1, ...all.map(([seconds]) => seconds));
  const largest = Math.max(1, ...all.map(([, value]) => value));
  const logarithmic = chart.logarithmic === true;
  const ticks = logarithmic ? powersOfTen(largest) : roundTicks(largest);
  const topValue = ticks.at(-1)!;
  const share = (value: number): number =>
    logarithmic ? Math.log10(Math.max(1, value)) / Math.log10(topValue) : value / topValue;
  const x = (seconds: number): number => left + (seconds / lastSecond) * (width - left - right);
  const y = (value: number): number => height - bottom - share(value) * (height - top - bottom);

  const grid = ticks.map(
    (tick) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}"/>` +
      `<text class="axis" x="${left - 8}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tick.toLocaleString('en')}</text>`,
  );
  const seconds = roundTicks(lastSecond)
    .filter((tick) => tick <= lastSecond)
    .map(
      (tick) =>
        `<text class="axis" x="${x(tick).toFixed(1)}" y="${height - 8}" text-anchor="middle">${tick} s</text>`,
    );
  const marks = chart.marks.map(
    (mark) =>
      `<g><line class="mark" x1="${x(mark.seconds).toFixed(1)}" x2="${x(mark.seconds).toFixed(1)}" y1="${top - 8}" y2="${height - bottom}"/>` +
      `<text class="mark-text" x="${x(mark.seconds).toFixed(1)}" y="${top - 12}" text-anchor="${
        mark.seconds > lastSecond * 0.7 ? 'end' : 'start'
      }">${escapeHtml(mark.text)}</text></g>`,
  );
  const lines = chart.lines.map((line) => {
    const path = line.points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline class="line ${line.style}" points="${path}"><title>${escapeHtml(line.label)}</title></polyline>`;
  });
  const legend = chart.lines.map(
    (line) => `<span><i class="swatch ${line.style}" aria-hidden="true"></i>${escapeHtml(line.label)}</span>`,
  );
  return `<figure><figcaption><b>${escapeHtml(chart.title)}</b> <span class="soft">${escapeHtml(chart.unit)}</span>
<span class="legend">${legend.join('')}</span></figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(chart.summary)}">${grid.join('')}${seconds.join('')}${marks.join('')}${lines.join('')}</svg>
<p class="soft">${escapeHtml(chart.summary)}</p></figure>`;
}

function roundTicks(largest: number): number[] {
  const rough = largest / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const count = Math.ceil(largest / step);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}

function powersOfTen(largest: number): number[] {
  const count = Math.max(1, Math.ceil(Math.log10(largest)));
  return Array.from({ length: count + 1 }, (_, index) => 10 ** index);
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
