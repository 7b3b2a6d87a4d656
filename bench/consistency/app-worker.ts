/**
 * A process of the application: it reads through the library under test, writes SQL beside it, and keeps a
 * record of both.
 */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import { nowMs, sleep } from '../monotonic.ts';
import { seededRandom } from '../seeded-random.ts';
import { type LarderSubject, openLarder } from '../subjects/larder.ts';
import { peerConfiguration } from '../subjects/peer-configurations.ts';
import type { Subject } from '../subjects/subject.ts';
import { emitEvent, type Handlers, serve } from '../worker-service.ts';
import { ReadLog, type WriteRecord } from './history.ts';
import { type Item, ItemTable, keyCount, keyPlan } from './item-table.ts';

export interface AppStart {
  /** 'larder' or a peer's name. */
  readonly subject: string;
  readonly engine: { readonly host: string; readonly port: number };
  readonly postgres: PostgresAddress;
  readonly table: string;
  readonly near: boolean;
  readonly boundMs: number;
  readonly seed: number;
  /** Concurrent ones. One reader without near tier makes a process whose far hits can be told apart. */
  readonly readers: number;
  readonly writers: number;
  /** Peers are told of every write, as their users do. */
  readonly invalidates: boolean;
}

export interface AppCounts {
  readonly failedReads: Readonly<Record<string, number>>;
  readonly failedWrites: number;
  readonly loads: number;
  /** Larder only. */
  readonly stats: object | undefined;
}

const burst = 8;

serve<AppStart>(async (start) => {
  const random = seededRandom(start.seed);
  const table = new ItemTable(start.postgres, start.table, 12);
  let loads = 0;
  const load = async (id: number): Promise<Item | null> => {
    loads += 1;
    const row = await table.load(id);
    // A loader that does more than one thing; the longer it takes, the wider the races.
    if (random() < 0.5) await sleep(random() * 6);
    return row;
  };
  const { larder, subject } = await open(start, load);
  const pause = (mostMs: number): Promise<void> => sleep(random() * mostMs);
  const log = new ReadLog((batch) => emitEvent('reads', batch));
  const failedReads: Record<string, number> = {};
  let writes: WriteRecord[] = [];
  let failedWrites = 0;
  let running = false;
  let work: Promise<unknown> = Promise.resolve();

  const anyKey = (): number => 1 + Math.floor(random() ** 1.5 * keyCount);
  const readOne = async (key: number): Promise<void> => {
    const startedMs = nowMs();
    if (larder === undefined) {
      const value = await subject.get(key);
      log.add(key, value?.version ?? 0, startedMs, nowMs(), false);
      return;
    }
    const near = larder.definition.near(key);
    // With one reader and no near tier, a far hit that was counted meanwhile is this read's own.
    const before = larder.definition.stats.farHits;
    const value = near === undefined ? await larder.get(key) : near;
    const far = start.readers === 1 && !start.near && larder.definition.stats.farHits === before + 1;
    log.add(key, value?.version ?? 0, startedMs, nowMs(), far);
  };
  const readMany = async (): Promise<void> => {
    const keys = [anyKey(), anyKey(), anyKey()];
    const startedMs = nowMs();
    const values = await larder!.definition.many(keys);
    const endedMs = nowMs();
    for (const [at, key] of keys.entries()) {
      log.add(key, values[at]?.version ?? 0, startedMs, endedMs, false);
    }
  };
  const reader = async (): Promise<void> => {
    while (running) {
      for (let count = 0; count < burst && running; count += 1) {
        try {
          if (larder !== undefined && start.readers > 1 && random() < 0.05) await readMany();
          else await readOne(anyKey());
        } catch (error) {
          const name = error instanceof Error ? error.name : 'unknown';
          failedReads[name] = (failedReads[name] ?? 0) + 1;
          await pause(5);
        }
      }
      await (random() < 0.1 ? pause(3) : new Promise(setImmediate));
    }
  };
  const within = ({ from, to }: { readonly from: number; readonly to: number }): number =>
    from + Math.floor(random() * (to - from + 1));
  const anyWork = () => {
    const dice = random();
    const key = within(keyPlan.ordinary);
    if (start.subject !== 'larder' || dice < 0.6) return table.update([key]);
    if (dice < 0.75) return table.toggle(key);
    if (dice < 0.85) return table.update([...new Set([key, within(keyPlan.ordinary)])]);
    if (dice < 0.9) return table.updateAfterRollback(key);
    const lower = within(keyPlan.moving);
    return table.move(lower % 2 === 1 ? lower : lower - 1);
  };
  const writer = async (): Promise<void> => {
    while (running) {
      try {
        const made = await table.transact(anyWork());
        writes.push(...made);
        if (start.invalidates) await Promise.all(made.map(({ key }) => subject.invalidate(key)));
      } catch {
        failedWrites += 1;
        await pause(20);
      }
      await pause(20);
    }
  };

  const handlers: Handlers = {
    /** Reads and writes until `stop`. */
    run() {
      running = true;
      work = Promise.all([
        ...Array.from({ length: start.readers }, reader),
        ...Array.from({ length: start.writers }, writer),
      ]);
    },
    async stopWrites(): Promise<WriteRecord[]> {
      running = false;
      await work;
      log.flush();
      const made = writes;
      writes = [];
      return made;
    },
    counts: (): AppCounts => ({ failedReads, failedWrites, loads, stats: larder?.cache.stats() }),
    async readAll(): Promise<number[]> {
      const versions = [];
      for (let key = 1; key <= keyCount; key += 1) versions.push((await subject.get(key))?.version ?? 0);
      return versions;
    },
    /** How many keys a read would get without the database. */
    async cached(): Promise<number> {
      let cached = 0;
      for (let key = 1; key <= keyCount; key += 1) {
        await subject.get(key);
        if ((await larder!.definition.explain(key)).tier !== 'database') cached += 1;
      }
      return cached;
    },
    async close() {
      await subject.close();
      await table.pool.end();
    },
  };
  return handlers;
});

async function open(
  start: AppStart,
  load: (id: number) => Promise<Item | null>,
): Promise<{ readonly larder: LarderSubject<Item> | undefined; readonly subject: Subject<Item> }> {
  const common = { engine: start.engine, namespace: start.table, ttlMs: 600_000, load };
  if (start.subject !== 'larder') {
    const { open: openPeer, near } = peerConfiguration(start.subject);
    return { larder: undefined, subject: await openPeer<Item>({ ...common, near }) };
  }
  const larder = openLarder<Item>({
    ...common,
    near: start.near,
    boundMs: start.boundMs,
    watches: [{ table: `public.${start.table}`, key: (row) => row.id }],
  });
  await larder.cache.ready();
  return { larder, subject: larder };
}
