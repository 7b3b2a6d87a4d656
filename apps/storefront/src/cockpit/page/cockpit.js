/** The cockpit's page: shows what the stream says, and sends what the buttons are pressed for. */
import { createCharts } from '/charts.js';

const names = { none: 'No cache', ttl: 'TTL cache', larder: 'Larder' };
const windowMs = 5000;
const frameEveryMs = 2500;
const find = (selector) => document.querySelector(selector);
const charts = createCharts();
const recent = [];
let state;
let frameUrl = null;

const number = (value, digits = 0) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const ms = (value) => `${number(value, value < 10 ? 1 : 0)} ms`;

const phases = {
  idle: (s) => `Ready, ${names[s.mode]}. No sale is running.`,
  starting: (s) => `Starting the shop, ${names[s.mode]} …`,
  'warming-up': (s) => `Warming up, ${names[s.mode]}: ${number(s.pagesPerSecond)} pages/s`,
  running: (s) => `Sale is on, ${names[s.mode]}: ${number(s.pagesPerSecond)} pages/s are asked for`,
  stopping: () => 'Ending the sale: the auditor reads the books …',
};

function showState(next) {
  state = next;
  const phase = find('#phase');
  phase.textContent = phases[state.phase](state);
  phase.dataset.phase = state.phase;
  const settled = state.phase === 'idle' || state.phase === 'running' || state.phase === 'warming-up';
  for (const button of document.querySelectorAll('[data-mode]')) {
    button.setAttribute('aria-pressed', String(button.dataset.mode === state.mode));
    button.disabled = !settled;
  }
  const selling = state.phase === 'running' || state.phase === 'warming-up';
  const sale = find('#sale');
  sale.textContent = selling ? 'Stop sale' : settled ? 'Start sale' : 'One moment';
  sale.disabled = !settled;
  const open = state.hotProductUrl !== null;
  find('#price').disabled = state.busy.price || !open;
  find('#kill').disabled = state.busy.kill || !open;
  find('#kill').textContent = state.busy.kill ? 'Watching …' : 'Kill primary';

  const price = state.lastPriceChange;
  find('#price-answer').textContent =
    price === null
      ? 'not tried yet'
      : price.visibleAfterMs === null
        ? '✕ not within 3 s'
        : `${price.visibleAfterMs <= 250 ? '✓' : '✕'} ${ms(price.visibleAfterMs)}`;
  const failover = state.lastFailover;
  find('#kill-answer').textContent =
    failover === null
      ? 'not tried yet'
      : `${failover.promotedMemberId === null ? '✕' : '✓'} ${ms(failover.writeGapMs)}`;

  const problem = find('#problem');
  problem.hidden = state.problem === null;
  problem.textContent = state.problem ?? '';
  showFrame(state.hotProductUrl);
  showResults(state.results);
}

function tile(name, text, verdict, verdictState) {
  const element = find(`[data-tile="${name}"]`);
  element.querySelector('b').textContent = text;
  const line = element.querySelector('.verdict');
  line.textContent = verdict;
  line.dataset.state = verdictState;
}

function showPoint(point) {
  charts.addPoint(point);
  if (recent.length > 0 && recent.at(-1).mode !== point.mode) recent.length = 0;
  recent.push(point);
  while (recent[0].atMs < point.atMs - windowMs) recent.shift();
  const mean = (of) => recent.reduce((sum, one) => sum + of(one), 0) / recent.length;
  const errors = recent.reduce((sum, one) => sum + one.errors, 0);

  const p99 = point.p99LastFiveSecondsMs;
  const slow =
    p99 > 1000 ? ['bad', '✕ visitors leave'] : p99 > 200 ? ['warn', '▲ slow'] : ['good', '✓ quick'];
  tile(
    'p99',
    number(p99, p99 < 10 ? 1 : 0),
    errors > 0 ? `✕ ${number(errors)} errors` : slow[1],
    errors > 0 ? 'bad' : slow[0],
  );
  tile(
    'orders',
    number(
      mean((one) => one.ordersPerSecond),
      1,
    ),
    '',
    'good',
  );
  tile('queries', number(mean((one) => one.databaseQueriesPerSecond)), '', 'good');
  tile(
    'stale',
    number(point.stalePages),
    point.stalePages > 0 ? '✕ buyers saw old prices' : '✓ none',
    point.stalePages > 0 ? 'bad' : 'good',
  );
  tile(
    'oversold',
    number(point.oversoldUnits),
    point.oversoldUnits > 0 ? '✕ sold without being there' : '✓ none',
    point.oversoldUnits > 0 ? 'bad' : 'good',
  );
  find('#summary').textContent =
    `${names[point.mode]}, last 5 s: p99 ${ms(p99)}, ${number(mean((one) => one.answeredPerSecond))} of ` +
    `${number(mean((one) => one.offeredPerSecond))} pages/s answered, ${number(mean((one) => one.databaseQueriesPerSecond))} ` +
    `database queries/s, ${number(point.stalePages)} stale pages and ${number(point.oversoldUnits)} oversold units in this sale.`;
}

const measures = [
  ['p99 page time', (one) => ms(one.p99Ms)],
  ['Errors', (one) => number(one.errors)],
  ['Orders', (one) => number(one.orders)],
  ['Database queries per page', (one) => number(one.databaseQueriesPerPage, 2)],
  ['Shop CPU per page', (one) => `${number(one.serverCpuMicrosPerPage)} µs`],
  ['Loads per change of the hot product', (one) => number(one.loadsPerHotChange, 1)],
  ['Stale pages served', (one) => number(one.stalePages)],
  ['Oversold units', (one) => number(one.oversoldUnits)],
];

function showResults(results) {
  find('#results').replaceChildren(
    ...measures.map(([label, of]) => {
      const row = document.createElement('tr');
      row.append(Object.assign(document.createElement('th'), { textContent: label, scope: 'row' }));
      for (const mode of ['none', 'ttl', 'larder']) {
        const result = results[mode];
        const text = result === undefined ? '–' : of(result);
        row.append(Object.assign(document.createElement('td'), { textContent: text }));
      }
      return row;
    }),
  );
}

function showEvent(event) {
  charts.addEvent(event);
  const list = find('#events');
  if (list.querySelector('.note') !== null) list.replaceChildren();
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date(event.atMs).toLocaleTimeString('en-GB');
  item.append(time, event.text);
  // Newest first; a failover's end is told after things that happened later.
  item.dataset.atMs = event.atMs;
  const later = [...list.children].find((other) => Number(other.dataset.atMs) <= event.atMs);
  list.insertBefore(item, later ?? null);
  while (list.childElementCount > 60) list.lastElementChild.remove();
  if (event.kind === 'price') refreshFrame();
}

// Two frames take turns, so that the page never flickers while a new one loads.
function showFrame(url) {
  find('.placeholder').hidden = url !== null;
  find('.placeholder').style.display = url === null ? 'grid' : 'none';
  const link = find('#open-shop');
  if (url === null) link.href = '#shop';
  else link.href = new URL('/', url).href;
  if (url === frameUrl) return;
  frameUrl = url;
  refreshFrame();
}

let loading = false;
function refreshFrame() {
  if (frameUrl === null || loading || document.hidden) return;
  const [shown, spare] = ['iframe.shown', 'iframe:not(.shown)'].map((selector) =>
    find(`.frames ${selector}`),
  );
  // A buyer who has clicked on is not to be thrown back.
  if (document.activeElement === shown && shown.src === frameUrl) return;
  loading = true;
  const done = () => {
    loading = false;
  };
  const late = setTimeout(done, 6000);
  spare.onload = () => {
    clearTimeout(late);
    done();
    spare.classList.add('shown');
    spare.title = 'Product page of the shop';
    spare.removeAttribute('aria-hidden');
    spare.removeAttribute('tabindex');
    shown.classList.remove('shown');
    shown.setAttribute('aria-hidden', 'true');
    shown.setAttribute('tabindex', '-1');
  };
  spare.src = frameUrl;
}
setInterval(() => {
  if (state?.phase === 'running') refreshFrame();
}, frameEveryMs);

async function press(path) {
  try {
    const response = await fetch(path, { method: 'POST' });
    const answer = await response.json();
    if (!response.ok) showProblem(answer.problem);
  } catch {
    showProblem('The cockpit’s server does not answer. Was it stopped?');
  }
}
function showProblem(text) {
  find('#problem').hidden = false;
  find('#problem').textContent = text;
}

for (const button of document.querySelectorAll('[data-mode]')) {
  button.addEventListener('click', () => press(`/mode/${button.dataset.mode}`));
}
find('#sale').addEventListener('click', () => press(state.phase === 'idle' ? '/sale/start' : '/sale/stop'));
find('#price').addEventListener('click', async () => {
  await press('/price');
  refreshFrame();
});
find('#kill').addEventListener('click', () => press('/kill'));

// The browser comes back by itself after a break and says what it saw last.
const live = new EventSource('/live');
live.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === 'state') showState(message.state);
  else if (message.type === 'point') showPoint(message.point);
  else if (message.type === 'event') showEvent(message.event);
};
live.onerror = () => {
  const phase = find('#phase');
  phase.textContent = 'The connection to the cockpit is lost; trying again …';
  phase.dataset.phase = 'lost';
};
