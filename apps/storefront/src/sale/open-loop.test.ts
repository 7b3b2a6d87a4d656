import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { CrowdPlan } from './crowd.ts';
import type { Tick } from './generator-messages.ts';
import { unpackObservations } from './observation.ts';
import { startOpenLoop } from './open-loop.ts';

const crowd: CrowdPlan = {
  pagesPerSecond: 200,
  seed: 1,
  hotProductId: 1,
  scarceProductId: 2,
  products: [{ id: 1, weight: 1 }],
  categoryIds: [1],
  customerIds: [1],
};

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(
  answer: (path: string) => { status: number; body: string; afterMs: number },
): Promise<string> {
  const listening = createServer((request, response) => {
    const { status, body, afterMs } = answer(request.url ?? '');
    setTimeout(() => {
      response.writeHead(status);
      response.end(body);
    }, afterMs);
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

function run(url: string, seconds: number) {
  const ticks: Tick[] = [];
  const order = { shopUrls: [url], crowd, warmUpSeconds: 0, seconds };
  const loop = startOpenLoop(order, { tick: (tick) => ticks.push(tick), measuring: () => {} });
  return { ended: loop.ended, ticks };
}

test('every page is sent on time and judged by what it shows', async () => {
  const page = '<article data-product="1" data-price-cents="99" data-stock="3">';
  const url = await serve(() => ({ status: 200, body: page, afterMs: 0 }));
  const { ended, ticks } = run(url, 1);
  const totals = await ended;
  expect(totals.errors).toBe(0);
  expect(totals.answered).toBe(totals.offered);
  expect(totals.latency.count).toBe(totals.offered);
  const observed = ticks.flatMap((tick) => [...unpackObservations(tick.observations)]);
  expect(observed.length).toBeGreaterThan(100);
  expect(observed[0]).toMatchObject({ productId: 1, priceCents: 99, stock: 3 });
});

test('a shop that stalls is asked no less, and the wait counts from the intended start', async () => {
  const firstAt = performance.now();
  // One stall of the whole shop: whoever comes meanwhile waits for the rest of it.
  const url = await serve(() => {
    return { status: 200, body: 'ok', afterMs: Math.max(0, 700 - (performance.now() - firstAt)) };
  });
  const { ended, ticks } = run(url, 1);
  const totals = await ended;
  const offeredFirst = ticks[0]!.offered;
  expect(offeredFirst).toBeGreaterThan(50);
  expect(totals.latency.maxMs).toBeGreaterThan(400);
  // Evenly spread arrivals into a stall: half of those who met it waited longer than half of it.
  expect(totals.latency.p50Ms).toBeGreaterThan(100);
});

test('failures are counted by kind and end a buyer’s visit', async () => {
  const url = await serve((path) => ({ status: path === '/login' ? 500 : 200, body: 'ok', afterMs: 0 }));
  const { ended, ticks } = run(url, 1);
  const totals = await ended;
  const failures = ticks.flatMap((tick) => tick.failures);
  expect(totals.errors).toBeGreaterThan(0);
  expect(failures.every((failure) => failure.step === 'login' && failure.status === 500)).toBe(true);
  expect(totals.abandoned).toBe(totals.errors * 5);
});

test('a shop that is not there gives an error for every page, and the sale still ends', async () => {
  const totals = await run('http://127.0.0.1:1', 0.5).ended;
  expect(totals.answered).toBe(0);
  expect(totals.errors).toBe(totals.offered);
});
