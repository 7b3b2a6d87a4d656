/** An invalidator and one that stands by, as operators run them. */
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { Acknowledgement } from './history.ts';
import type { InvalidatorStart } from './invalidator-worker.ts';

export class InvalidatorPair {
  readonly acknowledgements: Acknowledgement[] = [];
  readonly #start: InvalidatorStart;
  readonly #workers = new Set<WorkerProcess>();

  constructor(start: InvalidatorStart) {
    this.#start = start;
  }

  async start(): Promise<void> {
    while (this.#workers.size < 2) await this.#add();
  }

  /** The process whose stream is open; undefined in between. */
  async active(): Promise<WorkerProcess | undefined> {
    for (const worker of this.#workers) {
      const status = await worker.call<{ readonly state: string }>('status').catch(() => undefined);
      if (status?.state === 'streaming') return worker;
    }
    return undefined;
  }

  /** How far the active one has applied the log to the shared tier; 0 while none is active. */
  async applied(): Promise<bigint> {
    const status = await (await this.active())?.call<{ readonly applied: string }>('status');
    return status === undefined ? 0n : BigInt(`0x${status.applied}`);
  }

  /** SIGKILL. The other one takes over; a new one stands by. False when none was active. */
  async killActive(): Promise<boolean> {
    const active = await this.active();
    if (active === undefined) return false;
    await this.#remove(active);
    await this.start();
    return true;
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => this.#remove(worker)));
  }

  async #add(): Promise<void> {
    const worker = await startWorker({ file: 'bench/consistency/invalidator-worker.js', start: this.#start });
    worker.onEvent('acknowledgement', (each: Acknowledgement) => this.acknowledgements.push(each));
    this.#workers.add(worker);
  }

  async #remove(worker: WorkerProcess): Promise<void> {
    this.#workers.delete(worker);
    await worker.kill();
  }
}
