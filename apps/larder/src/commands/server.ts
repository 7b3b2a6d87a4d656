/** `larder server`: the service in the foreground, until it is told to end. */
import { realpathSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { startControlPlane } from '@larder/control/control-plane';
import { connectDatabase } from '@larder/control/database/connect';
import { nodePlaces } from '@larder/control/placement/node-places';
import type { EngineName } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import { nodeSecrets, openSecretKey } from '@larder/fleet/node-secrets';
import { scratchEngines } from '@larder/fleet/scratch-engine';
import { openAuthority } from '@larder/fleet/tls/authority';
import { pino } from 'pino';
import { accessKeyLookup, ensureAccessKeys } from '../access-keys.ts';
import { createApi } from '../api/server.ts';
import { accountId, type Config, defaultRegion } from '../config.ts';
import { crashingAt } from '../crash-point.ts';
import { ended } from '../ended.ts';
import { type FleetServiceFlags, openFleetService } from '../site/fleet-service.ts';
import { nodeCertificates } from '../site/node-certificates.ts';
import { oneMachineSite } from '../site/one-machine-site.ts';
import { UsageError } from '../usage-error.ts';

export interface ServerOptions {
  readonly dataDirectory: string;
  readonly port: number;
  readonly logLevel: string;
  /** Set: nodes run on hosts that join, not here. */
  readonly hosts?: FleetServiceFlags;
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
  const secretKey = await openSecretKey(place);
  const secrets = nodeSecrets(secretKey);
  const certificates = nodeCertificates(await openAuthority(join(place, 'tls'), Date.now));
  const places = nodePlaces();
  const fleet =
    options.hosts === undefined
      ? undefined
      : await openFleetService({
          ...options.hosts,
          directory: place,
          database,
          places,
          certificates,
          secretKey,
          logger,
        });
  const site =
    fleet?.site ??
    (await oneMachineSite({
      directory: place,
      findBuild,
      secrets,
      certificates,
      routerCommand: [process.execPath, process.argv[1]!, 'router', '--data-dir', place],
      crashing: crashingAt(config.crashPoint, () => process.kill(process.pid, 'SIGKILL')),
      onProblem: (error, what) => logger.error({ error }, what),
    }));
  const control = await startControlPlane({
    database,
    host: site.host,
    engines,
    scratch,
    router: site.router,
    secrets,
    placement: site.placement,
    places,
    nowMs: Date.now,
    logger,
  });
  await site.begin(control);
  const operators = await fleet?.serve(control);
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
    operators?.close();
    await control.stop();
    await site.close();
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
