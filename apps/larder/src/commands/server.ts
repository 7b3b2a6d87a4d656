/** `larder server`: the service in the foreground, until it is told to end. */
import { realpathSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { startControlPlane } from '@larder/control/control-plane';
import { connectDatabase } from '@larder/control/database/connect';
import { oneMachine } from '@larder/control/placement/placement';
import type { EngineName } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import { addressesOfBlock } from '@larder/fleet/address-pool';
import { openNodeSecrets } from '@larder/fleet/node-secrets';
import { processHost } from '@larder/fleet/process-host';
import { routerClient } from '@larder/fleet/router/router-client';
import { scratchEngines } from '@larder/fleet/scratch-engine';
import { openAuthority } from '@larder/fleet/tls/authority';
import { pino } from 'pino';
import { accessKeyLookup, ensureAccessKeys } from '../access-keys.ts';
import { createApi } from '../api/server.ts';
import { accountId, type Config, defaultRegion } from '../config.ts';
import { crashingAt } from '../crash-point.ts';
import { UsageError } from '../usage-error.ts';

export interface ServerOptions {
  readonly dataDirectory: string;
  readonly port: number;
  readonly logLevel: string;
}

const requestTimeoutMs = 30_000;
const headersTimeoutMs = 10_000;
/** Longer than clients keep a connection they don't use: the side that sends must be the one that closes. */
const keepAliveTimeoutMs = 75_000;
/** What changes nothing that others act on; logs are delivered in their own time. */
const looksOnly = [
  'observe',
  'readSettings',
  'deliverLogs',
  'isAddressFree',
  'certificateFiles',
  'onChange',
  'close',
] as const;
/** Renewed when a month of it is left. */
const certificateLifeMs = 120 * 24 * 3_600_000;

/** Resolves when the service has ended in an orderly way. Nodes run on. */
export async function runServer(config: Config, options: ServerOptions): Promise<void> {
  const { dataDirectory } = options;
  const logger = pino(
    { level: options.logLevel, serializers: { error: pino.stdSerializers.err } },
    pino.destination(2),
  );
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const place = realpathSync(dataDirectory);
  const database = connectDatabase(join(place, 'state.db'));
  await ensureAccessKeys(place);
  const engines = engineStore({
    directory: join(config.directories.cache, 'engines'),
    searchPath: config.searchPath,
  });
  const findBuild = async (engine: EngineName, version: string): Promise<EngineBuild> => {
    const build = await engines.find(engine, version);
    if (build === undefined) throw new Error(`${engine} ${version} is no longer installed.`);
    return build;
  };
  const scratch = scratchEngines({ directory: join(place, 'scratch'), findBuild });
  const secrets = await openNodeSecrets(place);
  const authority = await openAuthority(join(place, 'tls'), Date.now);
  const host = await processHost({
    id: 'local',
    directory: place,
    findBuild,
    secrets,
    certificates: {
      async issue(nodeId, addresses) {
        const request = {
          commonName: nodeId.slice(0, 64),
          addresses,
          dnsNames: [],
          lifeMs: certificateLifeMs,
        };
        const { certificatePem, keyPem } = await authority.issue(request);
        return { certificatePem, keyPem, authorityPem: authority.certificatePem };
      },
    },
    onProblem: (error) => logger.error({ error }, 'Something was asked of a node and went wrong.'),
  });
  const router = await routerClient({
    directory: place,
    command: [process.execPath, process.argv[1]!, 'router', '--data-dir', place],
    onProblem: (error) => logger.error({ error }, 'The router.'),
  });
  const crashing = crashingAt(config.crashPoint, () => process.kill(process.pid, 'SIGKILL'));
  const control = await startControlPlane({
    database,
    host: crashing(host, looksOnly),
    engines,
    scratch,
    router: crashing(router, ['routes', 'stats', 'close']),
    secrets,
    placement: oneMachine(() => addressesOfBlock(place), host.isAddressFree),
    nowMs: Date.now,
    logger,
  });
  const api = createApi({
    handlers: control.handlers,
    lookupAccessKey: accessKeyLookup(place),
    region: defaultRegion,
    accountId,
    logger,
    now: () => new Date(),
  });

  const server = serve({
    fetch: api.fetch,
    hostname: '127.0.0.1',
    port: options.port,
    serverOptions: {
      requestTimeout: requestTimeoutMs,
      headersTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
    },
  });
  async function end(): Promise<void> {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
    await control.stop();
    await host.close();
    await router.close();
    await scratch.close();
    await database.destroy();
  }
  const port = await listening(server, options.port).catch(async (error: Error) => {
    // Else what was begun would keep the process alive, and the data directory taken.
    await end();
    throw error;
  });
  await recordEndpoint(place, `http://127.0.0.1:${port}`);
  process.stdout.write(
    `Larder serves ElastiCache's API on http://127.0.0.1:${port}\n` +
      `  in another terminal:  eval "$(larder env${envFlag(config, options)})"  and then  aws elasticache describe-replication-groups\n`,
  );

  await ended();
  await end();
  logger.info({}, 'The service ended; its nodes run on.');
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

function ended(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
