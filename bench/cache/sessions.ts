/**
 * Case `sessions`: what a store costs a web server. express and express-session answer requests over 64 connections
 * that stay open, each request with the cookie of one of many sessions; each store in a process of its own.
 *
 * CPU time of the server per request is what is compared: the generator and the engine share the machine.
 */
import { startEngine } from '../../testing/engine.ts';
import { type Bar, judge } from '../bar.ts';
import { progress } from '../run-report.ts';
import { ratiosWithinRounds, shuffled, spreadOf } from '../statistics.ts';
import { figure, spreadText, table } from '../table.ts';
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { BenchCase, CaseOptions, CaseReport } from './bench-case.ts';
import { type OpenLoad, openConnections } from './sessions-load.ts';
import {
  type SessionsReady,
  type SessionsStart,
  type SessionVariant,
  sessionVariants,
} from './sessions-worker.ts';

interface Measured {
  readonly variant: SessionVariant;
  readonly path: '/read' | '/write';
  readonly microsPerRequest: number[];
  readonly requestsPerSecond: number[];
}

const rounds = 15;
const connections = 64;

export const sessions: BenchCase = {
  name: 'sessions',
  purpose:
    'express-session: CPU of the server per request, reading a session, and writing one; 64 connections',
  async run(options) {
    const measured = await measure(options);
    const bars = (['/read', '/write'] as const).map((path) => {
      const values = ratiosWithinRounds(
        microsOf(measured, 'larder', path),
        microsOf(measured, 'connect-redis', path),
      );
      const name = `larder, CPU × connect-redis, ${path.slice(1)}`;
      const bar: Bar = { name, better: 'lower', limit: 1, unit: '×', values };
      return judge(bar);
    });
    return report(measured, bars);
  },
};

async function measure({ seconds, random }: CaseOptions): Promise<Measured[]> {
  const engine = await startEngine('valkey');
  const workers = new Map<
    SessionVariant,
    { readonly worker: WorkerProcess; readonly ready: SessionsReady }
  >();
  const measured = sessionVariants.flatMap((variant) =>
    (['/read', '/write'] as const)
      .filter((path) => path === '/read' || variant !== 'no session')
      .map((path): Measured => ({ variant, path, microsPerRequest: [], requestsPerSecond: [] })),
  );
  const loads = new Map<string, OpenLoad>();
  const connectionsTo = async (
    variant: SessionVariant,
    path: Measured['path'],
    { port, cookies }: SessionsReady,
  ): Promise<OpenLoad> => {
    const name = `${variant} ${path}`;
    const load = loads.get(name) ?? (await openConnections({ port, count: connections, path, cookies }));
    loads.set(name, load);
    return load;
  };
  try {
    for (const variant of sessionVariants) {
      const start: SessionsStart = { variant, engine: { host: engine.host, port: engine.port } };
      const worker = await startWorker({
        file: 'bench/cache/sessions-worker.js',
        start,
        execArgv: ['--expose-gc'],
      });
      workers.set(variant, { worker, ready: await worker.call<SessionsReady>('prepare') });
    }
    const forMs = Math.max(50, (seconds * 1_000) / ((rounds + 2) * measured.length));
    // Two rounds for the compilers.
    for (let round = -2; round < rounds; round += 1) {
      for (const { variant, path, microsPerRequest, requestsPerSecond } of shuffled(measured, random)) {
        const { worker, ready } = workers.get(variant)!;
        const load = await connectionsTo(variant, path, ready);
        await worker.call('begin');
        const { requests, elapsedMs } = await load.run(forMs);
        const cpuMicros = await worker.call<number>('end');
        if (round < 0) continue;
        microsPerRequest.push(cpuMicros / requests);
        requestsPerSecond.push((1_000 * requests) / elapsedMs);
      }
      if (round >= 0 && round % 5 === 4) progress(`${round + 1} of ${rounds} rounds`);
    }
    return measured;
  } finally {
    for (const load of loads.values()) load.close();
    await Promise.all([...workers.values()].map(({ worker }) => worker.kill()));
    await engine.stop();
  }
}

function microsOf(
  measured: readonly Measured[],
  variant: SessionVariant,
  path: Measured['path'],
): readonly number[] {
  return measured.find((each) => each.variant === variant && each.path === path)!.microsPerRequest;
}

function report(measured: readonly Measured[], bars: CaseReport['bars']): CaseReport {
  const text = table(
    ['store, request', 'CPU per request, µs', 'CPU × connect-redis', 'requests/s'],
    measured.map(({ variant, path, microsPerRequest, requestsPerSecond }) => [
      `${variant}, ${path.slice(1)}`,
      spreadText(spreadOf(microsPerRequest)),
      spreadText(spreadOf(ratiosWithinRounds(microsPerRequest, microsOf(measured, 'connect-redis', path)))),
      figure(spreadOf(requestsPerSecond).median),
    ]),
  );
  return { text, bars, numbers: measured };
}
