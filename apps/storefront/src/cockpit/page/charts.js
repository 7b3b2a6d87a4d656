/** Three charts over one stretch of time, with the events as vertical lines through all of them. */
import uPlot from '/uplot.js';

const windowSeconds = 120;
const leastSeconds = 45;
const mostPoints = 1200;
const modes = ['none', 'ttl', 'larder'];
const names = { none: 'No cache', ttl: 'TTL cache', larder: 'Larder' };
const dashes = { none: [2, 3], ttl: [7, 3], larder: [] };
// Prices change many times a second; the chart marks only what somebody did.
const markedKinds = new Set(['mode', 'price', 'kill', 'promoted', 'process']);
const shortText = { price: 'price', kill: 'kill', promoted: 'failed over', process: 'process ended' };

/** The next of 10, 20, 50, 100, 200 … above `value`, so that the axis rarely jumps and its steps are even. */
function roundAbove(value) {
  for (let power = 10; ; power *= 10) {
    for (const factor of [1, 2, 5]) if (value * 1.05 <= factor * power) return factor * power;
  }
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}

export function createCharts() {
  const points = [];
  const events = [];
  const definitions = [
    {
      id: 'chart-p99',
      title: 'p99 page time',
      unit: 'ms, each half second',
      of: (point) => Math.max(point.p99Ms, 0.5),
      log: true,
      labels: true,
    },
    {
      id: 'chart-queries',
      title: 'Database queries',
      unit: 'per second',
      of: (point) => point.databaseQueriesPerSecond,
    },
    {
      id: 'chart-stale',
      title: 'Stale pages served',
      unit: 'this sale so far',
      of: (point) => point.stalePages,
      times: true,
    },
  ];
  let plots = [];
  let scheduled = false;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function legend() {
    const list = Object.assign(document.createElement('span'), { className: 'legend' });
    for (const mode of modes) {
      const entry = Object.assign(document.createElement('span'), {
        textContent: names[mode],
        className: mode,
      });
      list.append(entry);
    }
    return list;
  }

  function build() {
    for (const plot of plots) plot.destroy();
    plots = definitions.map((definition) => {
      const host = document.getElementById(definition.id);
      host.replaceChildren();
      const heading = document.createElement('h3');
      heading.append(Object.assign(document.createElement('span'), { textContent: definition.title }));
      heading.append(definition.labels ? legend() : '');
      heading.append(Object.assign(document.createElement('span'), { textContent: definition.unit }));
      host.append(heading);
      const axis = {
        stroke: colour('soft'),
        grid: { stroke: colour('grid'), width: 1 },
        ticks: { show: false },
        font: '11px system-ui',
      };
      return new uPlot(
        {
          width: Math.max(280, host.clientWidth),
          height: definition.labels ? 170 : definition.times ? 126 : 108,
          padding: [10, 8, 0, 0],
          cursor: { sync: { key: 'sale' }, drag: { x: false, y: false } },
          scales: {
            x: { time: true, range: () => timeRange() },
            y: definition.log
              ? {
                  distr: 3,
                  range: (_plot, _low, high) => [0.5, 10 ** Math.ceil(Math.log10(Math.max(100, high ?? 0)))],
                }
              : { range: (_plot, _low, high) => [0, roundAbove(high ?? 0)] },
          },
          axes: [
            {
              ...axis,
              // One row of times under the last chart serves all three.
              size: definition.times ? 26 : 8,
              values: (_plot, splits) => splits.map((at) => (definition.times ? clock(at) : '')),
            },
            {
              ...axis,
              size: 56,
              space: 26,
              ...(definition.log
                ? {
                    splits: () => [1, 10, 100, 1000, 10000],
                    filter: (_plot, splits) => splits,
                    values: (_plot, splits) => splits.map((value) => value.toLocaleString('en')),
                  }
                : {}),
            },
          ],
          series: [
            {},
            ...modes.map((mode) => ({
              label: names[mode],
              stroke: colour(mode),
              width: 2,
              dash: dashes[mode],
              spanGaps: false,
              points: { show: false },
            })),
          ],
          hooks: { draw: [(plot) => drawEvents(plot, definition.labels === true)] },
        },
        dataOf(definition),
        host,
      );
    });
  }

  function timeRange() {
    const last = points.at(-1)?.atMs ?? Date.now();
    const first = points[0]?.atMs ?? last;
    // Grows with the sale until the window is full, and never shows an empty stretch before it.
    const seconds = Math.min(windowSeconds, Math.max(leastSeconds, (last - first) / 1000 + 2));
    return [last / 1000 - seconds, last / 1000 + 1];
  }

  function dataOf(definition) {
    return [
      points.map((point) => point.atMs / 1000),
      ...modes.map((mode) =>
        points.map((point) => (point.mode === mode && !point.gap ? definition.of(point) : null)),
      ),
    ];
  }

  function drawEvents(plot, withLabels) {
    const { ctx, bbox } = plot;
    const [from] = timeRange();
    // A failover's labels have a row of their own: they are what people look for.
    const lastLabelEnd = [0, 0];
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'alphabetic';
    ctx.lineWidth = devicePixelRatio;
    for (const event of events) {
      if (event.atMs / 1000 < from) continue;
      const x = plot.valToPos(event.atMs / 1000, 'x', true);
      ctx.strokeStyle = colour(event.kind === 'kill' ? 'bad' : 'soft');
      ctx.setLineDash(event.kind === 'mode' ? [] : [3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      // Labels that would cover each other are left to the list of events below.
      const row = event.kind === 'kill' || event.kind === 'promoted' ? 1 : 0;
      if (!withLabels || x < lastLabelEnd[row]) continue;
      const text = shortText[event.kind] ?? event.text.replace(' begins', '');
      ctx.fillStyle = colour('ink');
      ctx.fillText(text, x + 4 * devicePixelRatio, bbox.top + (11 + row * 14) * devicePixelRatio);
      lastLabelEnd[row] = x + ctx.measureText(text).width + 10 * devicePixelRatio;
    }
    ctx.restore();
  }

  function redraw() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      for (const [index, plot] of plots.entries()) plot.setData(dataOf(definitions[index]));
    });
  }

  build();
  new ResizeObserver(() => {
    for (const plot of plots) {
      const width = Math.max(280, plot.root.parentElement.clientWidth);
      if (Math.abs(width - plot.width) > 1) plot.setSize({ width, height: plot.height });
    }
  }).observe(document.querySelector('.charts'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', build);

  return {
    addPoint(point) {
      const last = points.at(-1);
      // Between two sales there is nothing, and a line across would invent it.
      if (last !== undefined && (last.mode !== point.mode || point.atMs - last.atMs > 3000)) {
        points.push({ ...point, atMs: point.atMs - 1, gap: true });
      }
      points.push(point);
      if (points.length > mostPoints) points.splice(0, points.length - mostPoints);
      redraw();
    },
    addEvent(event) {
      if (!markedKinds.has(event.kind)) return;
      events.push(event);
      events.sort((left, right) => left.atMs - right.atMs);
      redraw();
    },
  };
}
