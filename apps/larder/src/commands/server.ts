/** `larder server`: the service in the foreground, until it is told to end. */
import { realpathSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import type { NotificationSettings } from '@larder/control/topic/topics';
import { type Logger, pino } from 'pino';
import { ensureAccessKeys } from '../access-keys.ts';
import { createStandby } from '../api/standby.ts';
import type { Config } from '../config.ts';
import { ended } from '../ended.ts';
import { type LeadingService, startLeading } from '../leading-service.ts';
import { type MetricsListen, serveMetrics } from '../metrics-listener.ts';
import type { FleetServiceFlags } from '../site/fleet-service.ts';
import type { ObjectStoreFlags } from '../site/object-store.ts';
import { holdFile } from '../state/file-state.ts';
import type { HeldState } from '../state/held-state.ts';
import { holdPostgres } from '../state/postgres-state.ts';
import { UsageError } from '../usage-error.ts';

export interface ServerOptions {
  readonly dataDirectory: string;
  readonly port: number;
  /** For clients of Sentinel; 0: they are not served, as on several hosts. */
  readonly sentinelPort: number;
  /** How often autoscaling looks at the load. */
  readonly scalingPeriodMs: number;
  readonly logLevel: string;
  /** Set: nodes run on hosts that join, not here. */
  readonly hosts?: FleetServiceFlags;
  /** Set: for exports of snapshots and seeds. */
  readonly objectStore?: ObjectStoreFlags;
  /** 0: only when asked. */
  readonly drillEveryMs: number;
  readonly notifications: NotificationSettings;
  /** Set: every cache gets the recommended alarms, which tell the topic if there is one. */
  readonly recommendedAlarms?: { readonly topic: string | undefined };
  readonly printLogs: boolean;
  /** Set: where Prometheus reads. */
  readonly metrics?: MetricsListen | undefined;
  /** Set: the state is there, and this is one of several controllers. */
  readonly databaseUrl?: string;
}

const requestTimeoutMs = 30_000;
const headersTimeoutMs = 10_000;
/** Longer than clients keep a connection they don't use: the side that sends must be the one that closes. */
const keepAliveTimeoutMs = 75_000;
/** Resolves when the service has ended in an orderly way. Nodes run on. */
export async function runServer(config: Config, options: ServerOptions): Promise<void> {
  const { dataDirectory } = options;
  const logger = pino(
    { level: options.logLevel, serializers: { error: pino.stdSerializers.err } },
    pino.destination(2),
  );
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const place = realpathSync(dataDirectory);
  const stopping = new AbortController();
  const toldToEnd = ended().then(() => stopping.abort());

  let leading: LeadingService | undefined;
  const standby = createStandby();
  const listen = async () => {
    const server = serve({
      fetch: (request, env) => (leading?.api ?? standby).fetch(request, env),
      hostname: '127.0.0.1',
      port: options.port,
      serverOptions: {
        requestTimeout: requestTimeoutMs,
        headersTimeout: headersTimeoutMs,
        keepAliveTimeout: keepAliveTimeoutMs,
      },
    });
    const port = await listening(server, options.port);
    await recordEndpoint(place, `http://127.0.0.1:${port}`);
    process.stdout.write(
      `Larder serves ElastiCache's API on http://127.0.0.1:${port}\n` +
        `  in another terminal:  eval "$(larder env${envFlag(config, options)})"  and then  aws elasticache describe-replication-groups\n`,
    );
    return server;
  };

  let held: HeldState | undefined;
  async function standDown(): Promise<void> {
    const service = leading;
    leading = undefined;
    await service?.stop();
    await held?.release();
    held = undefined;
  }

  let server: ReturnType<typeof serve> | undefined;
  await ensureAccessKeys(place);
  let metrics: Server | undefined;
  if (options.metrics !== undefined) {
    metrics = await serveMetrics(
      options.metrics,
      () => leading?.exposition(),
      (error) => logger.error({ error }, 'Metrics could not be read.'),
    );
    const { port } = metrics.address() as AddressInfo;
    process.stdout.write(`Metrics for Prometheus: http://${options.metrics.address}:${port}/metrics\n`);
  }
  // With several controllers it may be long until this one leads: it says so to who asks.
  if (options.databaseUrl !== undefined) server = await listen();
  try {
    while (!stopping.signal.aborted) {
      held = await holdState(place, options, stopping.signal, logger);
      if (held === undefined) break;
      leading = await startLeading({
        config,
        hosts: options.hosts,
        sentinelPort: options.sentinelPort,
        scalingPeriodMs: options.scalingPeriodMs,
        objectStore: options.objectStore,
        drillEveryMs: options.drillEveryMs,
        notifications: options.notifications,
        recommendedAlarms: options.recommendedAlarms,
        printLogs: options.printLogs,
        place,
        held,
        logger,
      });
      server ??= await listen();
      const why = await Promise.race([held.lost, toldToEnd]);
      if (why !== undefined) logger.warn({}, `This controller leads no more: ${why}.`);
      await standDown();
    }
  } finally {
    // Also after an error: what was begun would keep the process alive, and the data directory taken.
    metrics?.close();
    metrics?.closeAllConnections();
    server?.close();
    if (server !== undefined && 'closeAllConnections' in server) server.closeAllConnections();
    await standDown();
  }
  logger.info({}, 'The service ended; its nodes run on.');
}

function holdState(
  place: string,
  { databaseUrl }: ServerOptions,
  stopping: AbortSignal,
  logger: Logger,
): Promise<HeldState | undefined> {
  if (databaseUrl === undefined) return holdFile(join(place, 'state.db'));
  return holdPostgres({ url: databaseUrl, stopping, onNotice: (text) => logger.info({}, text) });
}

/** Renamed into place: "larder env" may read it at any moment. */
async function recordEndpoint(place: string, endpoint: string): Promise<void> {
  const file = join(place, 'endpoint.json');
  await writeFile(`${file}.partial`, JSON.stringify({ endpoint }));
  await rename(`${file}.partial`, file);
}

function envFlag(config: Config, { dataDirectory }: ServerOptions): string {
  return dataDirectory === config.directories.data ? '' : ` --data-dir ${dataDirectory}`;
}

function listening(server: ReturnType<typeof serve>, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('listening', () => resolve((server.address() as AddressInfo).port));
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(new UsageError(`Port ${port} is taken on 127.0.0.1. Choose another with --port.`));
    });
  });
}
