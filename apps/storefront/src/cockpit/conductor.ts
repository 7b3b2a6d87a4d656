/**
 * What the cockpit's buttons do. One thing at a time: a button pressed while another's work is under way is
 * answered with a sentence, and pressing one twice does nothing twice.
 */
import pg from 'pg';
import { seededRandom } from '../random.ts';
import { type FailoverRecord, killPrimary } from '../sale/failover.ts';
import type { Market } from '../sale/market.ts';
import { type ModeRun, startModeRun } from '../sale/mode-run.ts';
import { type PriceChange, type PriceChanger, priceChanger } from '../sale/price-changer.ts';
import type { Mode, ModeReport, Point, SaleEvent } from '../sale/report.ts';
import { productPath } from '../sale/shop-page.ts';
import { webClient } from '../sale/web-client.ts';
import type { Shops, Stage } from '../scenario/stage.ts';

export interface CockpitState {
  readonly phase: 'idle' | 'starting' | 'warming-up' | 'running' | 'stopping';
  readonly mode: Mode;
  readonly pagesPerSecond: number;
  readonly hotProductName: string;
  /** Null while the shop of a new mode is starting. */
  readonly hotProductUrl: string | null;
  readonly lastPriceChange: { readonly priceCents: number; readonly visibleAfterMs: number | null } | null;
  readonly lastFailover: { readonly writeGapMs: number; readonly promotedMemberId: string | null } | null;
  readonly busy: { readonly price: boolean; readonly kill: boolean };
  /** The last finished sale of each mode, without its long lists. */
  readonly results: Readonly<Partial<Record<Mode, ModeSummary>>>;
  /** What went wrong last; shown until the next button works. */
  readonly problem: string | null;
}

export type ModeSummary = Omit<ModeReport, 'points' | 'events' | 'staleExamples'>;

export interface Conductor {
  readonly state: CockpitState;
  startSale(): Promise<void>;
  stopSale(): Promise<void>;
  /** While a sale runs, it ends in the old mode and begins anew in this one. */
  setMode(mode: Mode): Promise<void>;
  changePrice(): Promise<PriceChange>;
  killPrimary(): Promise<FailoverRecord>;
  report(problem: string): void;
  close(): Promise<void>;
}

export interface ConductorOptions {
  readonly stage: Stage;
  readonly market: Market;
  readonly pagesPerSecond: number;
  readonly seed: number;
  readonly onState: (state: CockpitState) => void;
  readonly onPoint: (point: Point) => void;
  readonly onEvent: (event: SaleEvent) => void;
}

/** The button cannot do that now; the message says why. */
export class NotNow extends Error {
  override name = 'NotNow';
}

const warmUpSeconds = 3;
/** Nobody may leave a sale running for ever: the load ends by itself. */
const longestSaleSeconds = 300;

/** Starts with the shop of mode larder open and no sale. */
export async function startConductor(options: ConductorOptions): Promise<Conductor> {
  const { stage, market } = options;
  let shops: Shops | undefined;
  let run: ModeRun | undefined;
  let changing = false;
  let state: CockpitState = {
    phase: 'starting',
    mode: 'larder',
    pagesPerSecond: options.pagesPerSecond,
    hotProductName: market.hotProductName,
    hotProductUrl: null,
    lastPriceChange: null,
    lastFailover: null,
    busy: { price: false, kill: false },
    results: {},
    problem: null,
  };

  function set(change: Partial<CockpitState>): void {
    state = { ...state, ...change };
    options.onState(state);
  }

  /** Phases change under this alone, so two buttons never start two things. */
  async function exclusively(work: () => Promise<void>): Promise<void> {
    if (changing) throw new NotNow('Something is just being started or stopped; try again in a moment.');
    changing = true;
    set({ problem: null });
    try {
      await work();
    } catch (error) {
      set({ phase: run === undefined ? 'idle' : 'running', problem: (error as Error).message });
      throw error;
    } finally {
      changing = false;
    }
  }

  function urlOf(open: Shops | undefined): string | null {
    return open === undefined ? null : `${open.urls[0]}${productPath(market.hotProductId)}`;
  }

  async function closeShops(): Promise<void> {
    const open = shops;
    shops = undefined;
    set({ hotProductUrl: null });
    await open?.stop();
  }

  async function openShops(mode: Mode): Promise<void> {
    set({ phase: 'starting', mode });
    await closeShops();
    await stage.emptyCache();
    shops = await stage.startShops(mode);
    set({ phase: 'idle', hotProductUrl: urlOf(shops) });
  }

  async function beginSale(mode: Mode): Promise<void> {
    set({ phase: 'starting', mode });
    await closeShops();
    const started = await startModeRun(stage, market, {
      mode,
      pagesPerSecond: options.pagesPerSecond,
      seed: options.seed,
      warmUpSeconds,
      seconds: longestSaleSeconds,
      onPoint: options.onPoint,
      onEvent: options.onEvent,
    });
    run = started;
    shops = started.shops;
    set({ phase: 'warming-up', hotProductUrl: urlOf(shops) });
    started.measuring.then(
      () => {
        if (run === started && state.phase === 'warming-up') set({ phase: 'running' });
      },
      () => {},
    );
    started.finished.then(
      ({ report }) => {
        const { points: _points, events: _events, staleExamples: _examples, ...summary } = report;
        if (run === started) run = undefined;
        set({
          results: { ...state.results, [mode]: summary },
          ...(state.phase === 'running' ? { phase: 'idle' as const } : {}),
        });
      },
      (error: Error) => {
        if (run === started) run = undefined;
        set({ phase: 'idle', problem: error.message });
      },
    );
  }

  async function endSale(): Promise<void> {
    if (run === undefined) return;
    set({ phase: 'stopping' });
    run.stop();
    // Its outcome is reported where it was started.
    await run.finished.catch(() => {});
    set({ phase: 'idle' });
  }

  /** For buttons pressed while no sale runs. */
  async function withChanger<T>(work: (changer: PriceChanger) => Promise<T>): Promise<T> {
    if (shops === undefined) throw new NotNow('The shop is just being started; try again in a moment.');
    const client = new pg.Client(stage.postgres);
    client.on('error', () => {});
    await client.connect();
    const probes = shops.urls.map((url) => webClient(url, 4));
    const changer = priceChanger({
      client,
      shops: probes,
      random: seededRandom(`button/${Date.now()}`),
      hotProductId: market.hotProductId,
      products: market.products.slice(0, 1),
      changesPerSecond: 1,
    });
    try {
      return await work(changer);
    } finally {
      await changer.stop();
      await Promise.all(probes.map((probe) => probe.close()));
      await client.end();
    }
  }

  async function busyWith<T>(what: 'price' | 'kill', work: () => Promise<T>): Promise<T> {
    if (state.busy[what]) throw new NotNow('That is under way already.');
    set({ busy: { ...state.busy, [what]: true }, problem: null });
    try {
      return await work();
    } catch (error) {
      set({ problem: (error as Error).message });
      throw error;
    } finally {
      set({ busy: { ...state.busy, [what]: false } });
    }
  }

  await openShops('larder');

  return {
    get state() {
      return state;
    },
    startSale: () =>
      exclusively(async () => {
        if (run === undefined) await beginSale(state.mode);
      }),
    stopSale: () => exclusively(endSale),
    setMode: (mode) =>
      exclusively(async () => {
        if (mode === state.mode) return;
        const selling = run !== undefined;
        await endSale();
        if (selling) await beginSale(mode);
        else await openShops(mode);
      }),
    changePrice: () =>
      busyWith('price', async () => {
        const change =
          run === undefined
            ? await withChanger((changer) => changer.change(market.hotProductId))
            : await run.changeHotPrice();
        set({ lastPriceChange: { priceCents: change.priceCents, visibleAfterMs: change.visibleAfterMs } });
        if (run === undefined) {
          options.onEvent({
            atMs: change.committedAtMs,
            kind: 'price',
            text: 'price of the hot product changed in SQL',
          });
        }
        return change;
      }),
    killPrimary: () =>
      busyWith('kill', async () => {
        const record =
          run === undefined
            ? await withChanger((changer) => killPrimary(stage.group, changer, market.hotProductId))
            : await run.killPrimary();
        set({ lastFailover: { writeGapMs: record.writeGapMs, promotedMemberId: record.promotedMemberId } });
        return record;
      }),
    report: (problem) => {
      set({ problem });
      options.onEvent({ atMs: Date.now(), kind: 'process', text: problem.split('\n')[0]! });
    },
    async close() {
      run?.stop();
      await run?.finished.catch(() => {});
      await closeShops();
    },
  };
}
