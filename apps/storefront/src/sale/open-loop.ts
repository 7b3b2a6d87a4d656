/**
 * The crowd of a sale: requests leave when their visitor arrives, whether or not earlier ones were answered,
 * and a latency counts from that intended start. (A closed loop waits for each answer, so a slow shop would
 * be asked less and look better than it is: coordinated omission.)
 */
import { type TimedStep, type Visit, visits } from './crowd.ts';
import type { Failure, SaleOrder, SaleTotals, Tick } from './generator-messages.ts';
import { type LatencyHistogram, latencyHistogram } from './latency-histogram.ts';
import { type Observation, packObservations } from './observation.ts';
import { orderKeyIn, requestOf, shownProduct } from './shop-page.ts';
import { type Answer, NoAnswer, type WebClient, webClient } from './web-client.ts';

export interface OpenLoop {
  /** Nothing new starts; what is under way is awaited. */
  stop(): void;
  readonly ended: Promise<SaleTotals>;
}

export interface OpenLoopListener {
  tick(tick: Tick): void;
  measuring(atMs: number): void;
}

const timeoutMs = 5_000;
const tickMs = 500;
const connectionsPerShop = 64;
const windowTicks = 5_000 / tickMs;

interface Buyer {
  readonly cookies: Map<string, string>;
  orderKey: string;
}

interface Due {
  readonly timed: TimedStep;
  readonly rest: Visit;
  readonly buyer: Buyer | undefined;
}

export function startOpenLoop(order: SaleOrder, listener: OpenLoopListener): OpenLoop {
  const clients = order.shopUrls.map((url) => webClient(url, connectionsPerShop));
  const mostUnderWay = clients.length * connectionsPerShop;
  const crowd = visits(order.crowd);
  const startedAt = performance.now();
  const startedAtClock = Date.now();
  const measureFromMs = order.warmUpSeconds * 1_000;
  const lastArrivalMs = order.seconds === undefined ? Infinity : measureFromMs + order.seconds * 1_000;

  let nextVisit = crowd.next().value;
  let laterSteps: Due[] = [];
  // In order of their intended start; those before `firstWaiting` are already on their way.
  let waiting: Due[] = [];
  let firstWaiting = 0;
  let underWay = 0;
  let turn = 0;
  let arriving = true;
  let measuring = false;
  let stoppedAtMs = lastArrivalMs;

  const total = { offered: 0, answered: 0, errors: 0, abandoned: 0, orders: 0, soldOut: 0 };
  const totalLatency = latencyHistogram();
  let span = emptySpan();
  const recent: LatencyHistogram[] = [];
  let finish: (totals: SaleTotals) => void = () => {};
  const ended = new Promise<SaleTotals>((resolve) => {
    finish = resolve;
  });

  function arrive(due: Due): void {
    span.offered += 1;
    if (counts(due)) total.offered += 1;
    waiting.push(due);
  }
  function counts(due: Due): boolean {
    return due.timed.atMs >= measureFromMs;
  }

  function advance(): void {
    const nowMs = performance.now() - startedAt;
    if (!measuring && nowMs >= measureFromMs) {
      measuring = true;
      listener.measuring(startedAtClock + measureFromMs);
    }
    while (arriving && nextVisit[0]!.atMs <= nowMs) {
      if (nextVisit[0]!.atMs > lastArrivalMs) {
        arriving = false;
        break;
      }
      const [first, ...rest] = nextVisit;
      const buyer = rest.length === 0 ? undefined : { cookies: new Map<string, string>(), orderKey: '' };
      arrive({ timed: first!, rest, buyer });
      nextVisit = crowd.next().value;
    }
    if (laterSteps.some((due) => due.timed.atMs <= nowMs)) {
      for (const due of laterSteps) if (due.timed.atMs <= nowMs) arrive(due);
      laterSteps = laterSteps.filter((due) => due.timed.atMs > nowMs);
    }
    sendWaiting();
    if (!arriving && underWay === 0 && laterSteps.length === 0 && firstWaiting === waiting.length) end();
  }

  function sendWaiting(): void {
    // Whoever waited too long to be sent has left: the shop never hears of it, the totals do.
    const leaveBefore = performance.now() - startedAt - timeoutMs;
    while (firstWaiting < waiting.length && waiting[firstWaiting]!.timed.atMs <= leaveBefore) {
      const gone = waiting[firstWaiting]!;
      firstWaiting += 1;
      fail(gone, 'timeout');
      recordLatency(gone);
    }
    while (underWay < mostUnderWay && firstWaiting < waiting.length) {
      const due = waiting[firstWaiting]!;
      firstWaiting += 1;
      void perform(due, clients[turn++ % clients.length]!);
    }
    if (firstWaiting > 1_000) {
      waiting = waiting.slice(firstWaiting);
      firstWaiting = 0;
    }
  }

  async function perform(due: Due, client: WebClient): Promise<void> {
    underWay += 1;
    const { step, atMs } = due.timed;
    const cookies = due.buyer === undefined ? undefined : cookieHeader(due.buyer);
    const sentAtMs = Date.now();
    try {
      const deadline = startedAt + atMs + timeoutMs;
      const answer = await client.send(requestOf(step, due.buyer?.orderKey ?? ''), cookies, deadline);
      settle(due, answer, sentAtMs);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      fail(due, error.kind);
    } finally {
      recordLatency(due);
      underWay -= 1;
      sendWaiting();
    }
  }

  function recordLatency(due: Due): void {
    const latencyMs = performance.now() - startedAt - due.timed.atMs;
    span.latency.record(latencyMs);
    if (counts(due)) totalLatency.record(latencyMs);
  }

  function settle(due: Due, answer: Answer, sentAtMs: number): void {
    const { step } = due.timed;
    // 409 is the shop's right answer to a buyer who came too late.
    const soldOut = step.kind === 'checkout' && answer.status === 409;
    if (answer.status >= 400 && !soldOut) {
      fail(due, 'status', answer.status);
      return;
    }
    span.answered += 1;
    if (counts(due)) total.answered += 1;
    if (step.kind === 'product') {
      const shown = shownProduct(answer.body);
      if (shown !== undefined) {
        span.observations.push({ ...shown, sentAtMs, receivedAtMs: answer.receivedAtMs });
      }
    }
    if (due.buyer === undefined) return;
    if (soldOut) {
      if (counts(due)) total.soldOut += 1;
    } else if (step.kind === 'checkout' && String(answer.headers.location).startsWith('/orders')) {
      span.orders += 1;
      if (counts(due)) total.orders += 1;
    }
    keepCookies(due.buyer, answer.headers['set-cookie']);
    if (step.kind === 'cart') due.buyer.orderKey = orderKeyIn(answer.body) ?? '';
    const [next, ...rest] = due.rest;
    if (next === undefined) return;
    // Where a sale has ended, no buyer starts another step: the measured time is over.
    if (next.atMs > stoppedAtMs) return;
    // A cart that came back empty has no order form; a buyer would not press a button that is not there.
    if (next.step.kind === 'checkout' && due.buyer.orderKey === '') total.abandoned += 1 + rest.length;
    else laterSteps.push({ timed: next, rest, buyer: due.buyer });
  }

  function fail(due: Due, kind: Failure['kind'], status?: number): void {
    span.errors += 1;
    if (counts(due)) {
      total.errors += 1;
      total.abandoned += due.rest.length;
    }
    span.failures.push({
      kind,
      step: due.timed.step.kind,
      ...(status === undefined ? {} : { status }),
      intendedAtMs: startedAtClock + due.timed.atMs,
      endedAtMs: Date.now(),
    });
  }

  function tick(): void {
    recent.push(span.latency);
    if (recent.length > windowTicks) recent.shift();
    const window = latencyHistogram();
    for (const histogram of recent) window.add(histogram);
    const now = performance.now();
    listener.tick({
      atMs: Date.now(),
      spanMs: now - span.startedAt,
      measuring,
      offered: span.offered,
      answered: span.answered,
      errors: span.errors,
      orders: span.orders,
      latency: span.latency.summary(),
      lastFiveSeconds: window.summary(),
      waiting: waiting.length - firstWaiting,
      observations: packObservations(span.observations),
      failures: span.failures,
    });
    span = emptySpan();
  }

  let finished = false;
  function end(): void {
    if (finished) return;
    finished = true;
    clearInterval(advancing);
    clearInterval(ticking);
    tick();
    const measuredMs = Math.max(0, Math.min(lastArrivalMs, stoppedAtMs) - measureFromMs);
    void Promise.all(clients.map((client) => client.close())).then(() =>
      finish({ measuredMs, ...total, latency: totalLatency.summary() }),
    );
  }

  // Arrivals up to a millisecond late are late by this timer, and their latency says so.
  const advancing = setInterval(advance, 1);
  const ticking = setInterval(tick, tickMs);
  return {
    ended,
    stop() {
      arriving = false;
      stoppedAtMs = Math.min(stoppedAtMs, performance.now() - startedAt);
      laterSteps = [];
    },
  };
}

interface Span {
  readonly startedAt: number;
  offered: number;
  answered: number;
  errors: number;
  orders: number;
  readonly latency: LatencyHistogram;
  readonly observations: Observation[];
  readonly failures: Failure[];
}

function emptySpan(): Span {
  return {
    startedAt: performance.now(),
    offered: 0,
    answered: 0,
    errors: 0,
    orders: 0,
    latency: latencyHistogram(),
    observations: [],
    failures: [],
  };
}

function cookieHeader(buyer: Buyer): string | undefined {
  if (buyer.cookies.size === 0) return undefined;
  return [...buyer.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
}

function keepCookies(buyer: Buyer, setCookie: readonly string[] | undefined): void {
  for (const line of typeof setCookie === 'string' ? [setCookie as string] : (setCookie ?? [])) {
    const pair = line.split(';', 1)[0]!;
    const equals = pair.indexOf('=');
    if (equals > 0) buyer.cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
}
