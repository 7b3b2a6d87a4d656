/** One way of reading a cached value, in a process of its own; measured in slices that the parent interleaves. */
import { type Handlers, serve } from '../worker-service.ts';
import { type HitVariant, openHits } from './hit-variants.ts';

export interface HitStart {
  readonly variant: HitVariant;
  readonly engine: { readonly host: string; readonly port: number };
  readonly keys: number;
}

export interface Slice {
  readonly operations: number;
  readonly elapsedMs: number;
  readonly cpuMicros: number;
}

export interface SliceRequest {
  readonly forMs: number;
  /** Reads under way at a time; what answers synchronously ignores it. */
  readonly concurrency: number;
}

/** Between two looks at the clock. */
const syncBatch = 2_000;
const asyncBatch = 200;

serve<HitStart>(async (start) => {
  const hits = await openHits(start);
  const order = Uint16Array.from({ length: 65_536 }, () => Math.floor(Math.random() * start.keys));
  let at = 0;
  const nextKey = (): number => {
    at = (at + 1) & 65_535;
    return order[at]!;
  };

  /** What is proven near needs messages, so the event loop gets its turn between batches. */
  async function runSync(read: (key: number) => unknown, forMs: number): Promise<number> {
    const untilMs = performance.now() + forMs;
    let operations = 0;
    let missing = 0;
    while (performance.now() < untilMs) {
      for (let count = 0; count < syncBatch; count += 1) if (read(nextKey()) == null) missing += 1;
      operations += syncBatch;
      await new Promise(setImmediate);
    }
    // On a busy machine a proof may come late and a read finds nothing; more than a few would be another case.
    if (missing > operations / 100) {
      throw new Error(`${missing} of ${operations} reads of ${start.variant} found nothing near.`);
    }
    return operations;
  }

  async function runAsync(
    read: (key: number) => Promise<unknown>,
    { forMs, concurrency }: SliceRequest,
  ): Promise<number> {
    const untilMs = performance.now() + forMs;
    let operations = 0;
    const reader = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        for (let count = 0; count < asyncBatch; count += 1) {
          if ((await read(nextKey())) == null) throw new Error(`${start.variant} gave nothing.`);
          operations += 1;
        }
        // A near hit is only a microtask, and would keep messages out as well.
        await new Promise(setImmediate);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, reader));
    return operations;
  }

  const handlers: Handlers = {
    /** Every key is where it will be found. */
    warm: () => hits.warm(),
    async slice(request: SliceRequest): Promise<Slice> {
      const before = process.cpuUsage();
      const beganMs = performance.now();
      const operations =
        hits.readSync === undefined
          ? await runAsync(hits.read, request)
          : await runSync(hits.readSync, request.forMs);
      const elapsedMs = performance.now() - beganMs;
      const { user, system } = process.cpuUsage(before);
      return { operations, elapsedMs, cpuMicros: user + system };
    },
    /** Loads since the last question: a hit must not have been one. */
    loads: () => hits.loads(),
    close: () => hits.close(),
  };
  return handlers;
});
