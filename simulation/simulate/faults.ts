/** Faults as they begin and end. Every one that lasts is over when the plan is. */
import type { Fault } from './plan.ts';
import type { Simulation } from './run.ts';

export class Faults {
  readonly counts: Record<string, number> = {};
  readonly #simulation: Simulation;
  readonly #running = new Set<() => void>();
  #replicationBreaks = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Replication that comes in pieces, so that the replica is a little behind. */
  lag(mostMs: number): void {
    const { engine } = this.#simulation;
    const timer = setInterval(() => {
      if (this.#replicationBreaks > 0) return;
      engine.catchUp();
      engine.stopReplication();
    }, mostMs);
    this.#running.add(() => {
      clearInterval(timer);
      engine.catchUp();
    });
  }

  begin(fault: Fault): void {
    this.counts[fault.kind] = (this.counts[fault.kind] ?? 0) + 1;
    const what = this.#start(fault);
    this.#simulation.log(`fault: ${what}`);
  }

  endAll(): void {
    for (const end of [...this.#running]) end();
    this.#running.clear();
  }

  #lasting(forMs: number, what: string, end: () => void): void {
    const once = (): void => {
      if (!this.#running.delete(once)) return;
      clearTimeout(timer);
      this.#simulation.log(`fault over: ${what}`);
      end();
    };
    const timer = setTimeout(once, forMs);
    this.#running.add(once);
  }

  /** Returns what it is, in words. */
  #start({ kind, forMs, process: index, detail }: Fault): string {
    const simulation = this.#simulation;
    const { engine, database, processes, history, nowMs } = simulation;
    const { source } = database;
    const process = processes[Math.min(index, processes.length - 1)]!;
    const { driver, network, name } = process;
    switch (kind) {
      case 'cut': {
        const which = (['all', 'commands', 'subscriptions'] as const)[detail % 3]!;
        driver.cut(which);
        return `connections of ${name} break (${which})`;
      }
      case 'hang':
        driver.hang();
        this.#lasting(forMs, `${name} hangs`, () => driver.unhang());
        return `connections of ${name} hang for ${forMs} ms`;
      case 'slow':
        network.slow = 10;
        this.#lasting(forMs, `${name} is slow`, () => {
          network.slow = 1;
        });
        return `the network of ${name} is slow for ${forMs} ms`;
      case 'lossy':
        network.lossy = true;
        this.#lasting(forMs, `${name} loses replies`, () => {
          network.lossy = false;
        });
        return `${name} loses commands and replies for ${forMs} ms`;
      case 'engine pause':
        engine.pause();
        this.#lasting(forMs, 'the engine is paused', () => engine.resume());
        return `the engine is paused for ${forMs} ms`;
      case 'engine flush':
        engine.flush();
        history.forgotten();
        return 'the engine is flushed';
      case 'engine restart':
        engine.kill();
        history.forgotten();
        this.#lasting(forMs, 'the engine is dead', () => engine.restart());
        return `the engine dies with everything in it, for ${forMs} ms`;
      case 'evict': {
        const part = ['#stamps', '#state', '#beat', '#tags'][detail % 4]!;
        engine.evict(part);
        if (part === '#state') history.forgotten();
        return `the engine evicts ${part}`;
      }
      case 'failover':
        // It loses events for good, where no feed brings them again: nothing is promised then.
        if (simulation.plan.setup.changes === 'events')
          return 'the engine has no replica that could take over';
        this.#breakReplication(forMs, 'the replica falls behind', () => this.#failOver());
        return `the replica falls behind; in ${forMs} ms it is promoted`;
      case 'replica lag':
        this.#breakReplication(forMs, 'the replica lags', () => engine.catchUp());
        return `the replica receives nothing for ${forMs} ms`;
      case 'lost messages':
        engine.dropMessages(1 + (detail % 4));
        return `the next ${1 + (detail % 4)} messages are lost`;
      case 'clock jump': {
        const ms = (detail % 2 === 0 ? 1 : -1) * (5 + (detail % 60));
        engine.clockOffsetMs += ms;
        history.clockJumped(nowMs(), ms);
        return `the engine's clock jumps by ${ms} ms`;
      }
      case 'stream break':
        source.breakStream();
        return 'the stream breaks; whoever stands by takes it';
      case 'stream late':
        source.withhold(true);
        this.#lasting(forMs, 'the stream is late', () => source.withhold(false));
        return `the stream brings nothing for ${forMs} ms`;
      case 'database stall':
        source.stall(true);
        this.#lasting(forMs, 'the database is silent', () => source.stall(false));
        return `the database answers no question of consumers for ${forMs} ms`;
      case 'consumer crash':
        return this.#crash();
      case 'slot lost':
        source.loseSlot();
        return 'the replication slot is lost';
    }
  }

  #breakReplication(forMs: number, what: string, end: () => void): void {
    this.#replicationBreaks += 1;
    this.#simulation.engine.stopReplication();
    this.#lasting(forMs, what, () => {
      this.#replicationBreaks -= 1;
      end();
    });
  }

  #failOver(): void {
    const { engine, history, log } = this.#simulation;
    engine.failOver();
    const state = engine.keys.find((key) => key.endsWith('#state'));
    const applied = state === undefined ? null : (engine.command('HGET', state, 'a') as string | null);
    if (applied === null) history.forgotten();
    else history.rewound(BigInt(`0x${applied}`));
    log('fault: the primary dies, the replica is promoted with what it has');
  }

  /** The oldest living consumer dies; what it sent may still land. Another is started a moment later. */
  #crash(): string {
    const simulation = this.#simulation;
    const living = simulation.processes.find(
      (process) => process.source !== undefined && !this.#dead.has(process.name),
    );
    if (living === undefined) return 'no consumer lives that could crash';
    this.#dead.add(living.name);
    living.source?.kill();
    living.driver.cut();
    void living.cache.close();
    setTimeout(() => void simulation.openConsumer(), 20);
    return `${living.name} crashes`;
  }

  readonly #dead = new Set<string>();
}
