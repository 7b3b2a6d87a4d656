/** The flash sale's cockpit in a real browser, on the real service: start, change a price, kill the primary. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchBrowser } from '../testing/browser.ts';
import { directories, searchPath } from '../testing/config.ts';
import { waitFor } from '../testing/wait-for.ts';

const program = fileURLToPath(new URL('../apps/storefront/dist/main.js', import.meta.url));
const pagesPerSecond = 60;

let folder: string;
let sale: ChildProcess;
let output = '';
let browser: Browser;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'larder-test-cockpit-'));
  // PostgreSQL runs as an ordinary user and must be able to reach its own folder.
  await chmod(folder, 0o755);
  sale = spawn(process.execPath, [program, '--rate', String(pagesPerSecond), '--port', '28700'], {
    env: { PATH: searchPath, LARDER_DATA_DIR: folder, LARDER_CACHE_DIR: directories.cache },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [sale.stdout!, sale.stderr!]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  // Both at once; without a browser this throws, with the command that installs one.
  [browser] = await Promise.all([
    launchBrowser(),
    waitFor(
      () => output,
      (text) => /ready: http/.test(text) || sale.exitCode !== null,
      {
        what: 'the cockpit to be ready',
        limitMs: 90_000,
      },
    ),
  ]);
  const url = /ready: (http\S+)/.exec(output)?.[1];
  if (url === undefined) throw new Error(`The flash sale did not start:\n${output}`);
  page = await browser.newPage({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(url);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  if (sale?.exitCode === null) {
    sale.kill('SIGKILL');
  }
  await rm(folder, { recursive: true, force: true });
});

const phase = (): Promise<string | null> => page.getAttribute('#phase', 'data-phase');
const reached = (wanted: string): Promise<string | null> =>
  waitFor(phase, (now) => now === wanted, { what: `the phase "${wanted}"`, limitMs: 60_000 });
const text = async (selector: string): Promise<string> => (await page.textContent(selector)) ?? '';

test('the shop is open beside the numbers, in mode Larder', async () => {
  await reached('idle');
  expect(await page.getAttribute('[data-mode="larder"]', 'aria-pressed')).toBe('true');
  const frame = await waitFor(
    () => page.frames().find((one) => /\/product\/\d+$/.test(one.url())),
    (found) => found !== undefined,
    { what: 'the product page in its frame' },
  );
  expect(await frame!.textContent('.price')).toMatch(/^£\d/);
});

test('a started sale fills the tiles, and a price changed in SQL is seen within the bound', async () => {
  await page.click('#sale');
  await reached('running');
  await waitFor(
    () => text('[data-tile="orders"] b'),
    (value) => Number(value) > 0,
    { what: 'orders' },
  );
  await page.click('#price');
  const answer = await waitFor(
    () => text('#price-answer'),
    (value) => /ms|3 s/.test(value),
    {
      what: 'the price to be seen',
    },
  );
  expect(answer).toContain('✓');
  expect(await text('[data-tile="stale"] b')).toBe('0');
});

test('the killed primary is replaced while the sale goes on', async () => {
  await page.click('#kill');
  const answer = await waitFor(
    () => text('#kill-answer'),
    (value) => value.includes('ms'),
    {
      what: 'the failover',
      limitMs: 60_000,
    },
  );
  expect(answer).toContain('✓');
  expect(await text('#events')).toMatch(/killed \(SIGKILL\)/);
  expect(await phase()).toBe('running');
});

test('the other mode is one button away, and the finished sale stands in the table', async () => {
  await page.click('[data-mode="none"]');
  await waitFor(
    () => text('#phase'),
    (value) => value.startsWith('Sale is on, No cache'),
    {
      what: 'the sale in the other mode',
      limitMs: 60_000,
    },
  );
  await page.click('#sale');
  await reached('idle');
  const rows = await page.$$eval('#results tr', (all) =>
    all.map((row) => [...row.children].map((cell) => cell.textContent)),
  );
  const stale = rows.find(([label]) => label === 'Stale pages served')!;
  expect(stale[1]).toBe('0');
  expect(stale[2]).toBe('–');
  expect(stale[3]).toBe('0');
});

test('another site’s page cannot press the buttons', async () => {
  const url = new URL('/sale/start', page.url());
  const answer = await fetch(url, { method: 'POST', headers: { origin: 'http://elsewhere.example' } });
  expect(answer.status).toBe(403);
});

test('the page works on a telephone’s width, without complaints in the console', async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await waitFor(
    () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
    (overflow) => overflow <= 0,
    { what: 'everything to fit the width', limitMs: 5_000 },
  );
  expect(complaints).toEqual([]);
});

test('Ctrl-C stops everything that was started', async () => {
  const ended = new Promise<number | null>((resolve) => sale.once('exit', resolve));
  sale.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(output).toContain('Everything is stopped.');
  const left = await waitFor(
    async () => {
      const { stdout } = await promisify(execFile)('ps', ['-eo', 'args']);
      return stdout.split('\n').filter((line) => line.includes(folder));
    },
    (lines) => lines.length === 0,
    { what: 'every process of the sale to be gone', limitMs: 10_000 },
  );
  expect(left).toEqual([]);
});
