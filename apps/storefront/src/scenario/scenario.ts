/** Starts everything a sale needs, in order, and stops all of it again, whatever happened in between. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { findPostgres } from '../postgres/binaries.ts';
import { type PostgresServer, startPostgres } from '../postgres/server.ts';
import type { CacheGroup } from '../sale/cache-group.ts';
import { loadGenerator } from '../sale/load-generator.ts';
import { respCommand } from '../sale/resp-connection.ts';
import { currentContents } from '../shop/fill.ts';
import { importShop } from '../shop/import-csv.ts';
import { defaultSeedSize, seedShop } from '../shop/seed.ts';
import { type ProcessToStart, type ScenarioProcess, startProcess } from './child-process.ts';
import type { Progress } from './progress.ts';
import { openRunRecord, type RunRecord } from './run-record.ts';
import { startShops } from './shop-processes.ts';
import type { Stage } from './stage.ts';

export interface ScenarioParts {
  /** Everything of the scenario lives below it. */
  readonly directory: string;
  /** For PostgreSQL's programs. */
  readonly cacheDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly dataPath: string | undefined;
  readonly progress: Progress;
  readonly startCache: StartCache;
  /** A process that nobody stopped has ended; with the end of its log. */
  readonly onDeath: (why: string) => void;
}

export interface RunningCache {
  readonly group: CacheGroup;
  /** Its engines too, in bounded time. Says what could not be stopped. */
  stop(): Promise<void>;
}

export type StartCache = (context: {
  readonly directory: string;
  readonly logDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly report: (sentence: string) => void;
  readonly onStarted: (process: ScenarioProcess) => Promise<void>;
}) => Promise<RunningCache>;

export interface Scenario {
  readonly stage: Stage;
  /** Stops everything, once, in bounded time. May be called while the start is still under way. */
  stop(): Promise<void>;
}

const postgresSettings = {
  // As a shop that must not lose orders would run it.
  fsync: 'on',
  synchronous_commit: 'on',
  shared_buffers: '256MB',
  max_connections: 100,
  max_wal_size: '1GB',
  // The auditor's clock: when each change was committed.
  track_commit_timestamp: 'on',
  // The seed's plan statistics are fresh; what changes in a minute of sale needs no help.
  autovacuum_naptime: '30s',
};

export class Stopped extends Error {
  override name = 'Stopped';
}

/** @throws AlreadyRunning, PostgresMissing, ImportError or what else went wrong; then all is stopped again. */
export function startScenario(parts: ScenarioParts): { ready: Promise<Stage>; stop: () => Promise<void> } {
  const { progress, directory } = parts;
  const logDirectory = join(directory, 'logs');
  const undo: { what: string; run: () => Promise<unknown> }[] = [];
  const processes = new Set<ScenarioProcess>();
  let stopping: Promise<void> | undefined;

  async function watch(record: RunRecord, one: ScenarioProcess): Promise<void> {
    processes.add(one);
    await record.started(one);
    void one.ended.then(() => {
      processes.delete(one);
      void record.ended(one.pid);
    });
    void one.diedUnexpectedly.then((why) => {
      if (stopping === undefined) parts.onDeath(why);
    });
  }

  async function start(): Promise<Stage> {
    await mkdir(logDirectory, { recursive: true });
    const record = await openRunRecord(directory);
    undo.push({ what: 'the record of this run', run: () => record.remove() });
    if (record.endedLeftovers.length > 0) {
      progress.line(`  Ended what an earlier run left behind: ${record.endedLeftovers.join(', ')}`);
    }
    const proceed = (): void => {
      if (stopping !== undefined) throw new Stopped('Stopped while starting.');
    };
    async function startOwn(
      what: Omit<ProcessToStart, 'logDirectory' | 'environment'>,
    ): Promise<ScenarioProcess> {
      proceed();
      const one = await startProcess({ ...what, logDirectory, environment: parts.environment });
      await watch(record, one);
      return one;
    }

    progress.step('PostgreSQL');
    const binaries = await findPostgres(join(parts.cacheDirectory, 'postgresql'));
    const server = await startPostgres({
      binaries,
      dataDirectory: join(directory, 'postgresql'),
      settings: postgresSettings,
    });
    undo.push({ what: 'PostgreSQL', run: () => server.stop() });
    proceed();

    progress.step('The shop’s products, customers and past orders');
    const contents = await fill(server, parts);
    proceed();

    progress.step('Larder, and a replication group of three Valkey nodes');
    const cache = await parts.startCache({
      directory,
      logDirectory,
      environment: parts.environment,
      report: (sentence) => progress.detail(sentence),
      onStarted: (one) => {
        undo.push({ what: 'the service', run: () => one.stop() });
        return watch(record, one);
      },
    });
    undo.push({ what: 'Valkey', run: () => cache.stop() });
    proceed();

    progress.step('Load generator');
    const generator = await startOwn({
      name: 'load-generator',
      module: 'sale/generator-main',
      serialization: 'advanced',
    });
    undo.push({ what: 'the shop and the load generator', run: stopProcesses });
    progress.done();

    const endpoint = cache.group.primaryEndpoint;
    return {
      postgres: server.address,
      postgresVersion: binaries.version,
      group: cache.group,
      generator: loadGenerator(generator),
      hotProductId: contents.hotProductId,
      data: contents.source,
      startShops: (mode) => startShops({ postgres: server.address, cache: endpoint, start: startOwn }, mode),
      async emptyCache() {
        await respCommand(endpoint, ['FLUSHALL']);
      },
    };
  }

  async function stopProcesses(): Promise<void> {
    // The invalidator and the service are among them and go last, by their own steps or below.
    const ordered = [...processes].filter((one) => one.name !== 'larder-service');
    await Promise.all(ordered.map((one) => one.stop(5_000)));
  }

  async function stopAll(): Promise<void> {
    await started.catch(() => {});
    // Last started, first stopped; what fails to stop must not keep the rest alive.
    for (const { what, run } of undo.reverse()) {
      progress.step(`Stopping ${what}`);
      await run().catch((error: Error) => progress.line(`  ${what} could not be stopped: ${error.message}`));
    }
    progress.done();
  }
  function stop(): Promise<void> {
    stopping ??= stopAll();
    return stopping;
  }

  const started = start();
  const ready = started.catch(async (error) => {
    await stop();
    throw error;
  });
  return { ready, stop };
}

async function fill(
  server: PostgresServer,
  parts: ScenarioParts,
): Promise<{ hotProductId: number; source: Readonly<Record<string, string | number | null>> }> {
  const { progress } = parts;
  const client = new pg.Client(server.address);
  await client.connect();
  try {
    const report = (sentence: string): void => progress.detail(sentence);
    if (parts.dataPath === undefined) {
      await seedShop(client, { ...defaultSeedSize, seed: parts.seed }, report);
    } else {
      const { acceptedLines, refused } = await importShop(client, { path: parts.dataPath }, report);
      const refusedLines = refused.reduce((sum, one) => sum + one.count, 0);
      progress.line(
        `  ${acceptedLines.toLocaleString('en')} lines of the file are sales; ${refusedLines.toLocaleString('en')} were left out${
          refused.length === 0 ? '' : ` (${refused.map((one) => `${one.reason}: ${one.count}`).join(', ')})`
        }`,
      );
    }
    const contents = await currentContents(client);
    if (contents === undefined) throw new Error('The shop has no contents after it was filled.');
    return contents;
  } finally {
    await client.end();
  }
}
