/** Everything that only the controller that leads does: the API with its control plane, over the state that it holds. */
import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from '@larder/control/control-plane';
import { checkLikeness } from '@larder/control/database/likeness';
import type { DeliveredLine } from '@larder/control/log-store/collect-log';
import { nodePlaces } from '@larder/control/placement/node-places';
import type { NotificationSettings } from '@larder/control/topic/topics';
import type { EngineName } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import { nodeSecrets, openSecretKey } from '@larder/fleet/node-secrets';
import { scratchEngines } from '@larder/fleet/scratch-engine';
import { openAuthority } from '@larder/fleet/tls/authority';
import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { accessKeyLookup } from './access-keys.ts';
import { createApi } from './api/server.ts';
import { accountId, type Config, defaultRegion } from './config.ts';
import { crashingAt } from './crash-point.ts';
import type { Otlp } from './otlp.ts';
import { type FleetServiceFlags, openFleetService } from './site/fleet-service.ts';
import { nodeCertificates } from './site/node-certificates.ts';
import { bucketsOf, type ObjectStoreFlags } from './site/object-store.ts';
import { oneMachineSite } from './site/one-machine-site.ts';
import { operatorSocket } from './site/operator-socket.ts';
import type { HeldState } from './state/held-state.ts';

export interface LeadingOptions {
  readonly config: Config;
  /** The data directory. */
  readonly place: string;
  /** Set: nodes run on hosts that join, not here. */
  readonly hosts?: FleetServiceFlags | undefined;
  /** For clients of Sentinel; 0: they are not served. On several hosts the agents serve them. */
  readonly sentinelPort: number;
  /** How often autoscaling looks at the load. */
  readonly scalingPeriodMs: number;
  readonly objectStore?: ObjectStoreFlags | undefined;
  readonly drillEveryMs: number;
  readonly notifications: NotificationSettings;
  /** Set: every cache gets the recommended alarms, which tell the topic if there is one. */
  readonly recommendedAlarms?: { readonly topic: string | undefined } | undefined;
  /** Delivered lines of engines' logs go to standard output as well. */
  readonly printLogs: boolean;
  readonly held: HeldState;
  readonly logger: Logger;
}

export interface LeadingService {
  readonly api: Hono;
  readonly exposition: ControlPlane['exposition'];
  /** Nodes run on; the state is still held. */
  stop(): Promise<void>;
}

/** @throws ControllersDiffer when this is not the machine that may lead for that state. */
export async function startLeading({
  config,
  place,
  hosts,
  sentinelPort,
  scalingPeriodMs,
  objectStore,
  drillEveryMs,
  notifications,
  recommendedAlarms,
  printLogs,
  held,
  logger,
}: LeadingOptions): Promise<LeadingService> {
  const { database, metricDatabase, logDatabase, term } = held;
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
  const authority = await openAuthority(join(place, 'tls'), Date.now);
  const certificates = nodeCertificates(authority);
  const places = nodePlaces();
  const fleet =
    hosts === undefined
      ? undefined
      : await openFleetService({
          ...hosts,
          directory: place,
          database,
          term,
          places,
          certificates,
          secretKey,
          logger,
        });
  await checkLikeness(database, {
    'secret.key': secretKey,
    'tls/ca.pem': authority.certificatePem,
    ...(fleet !== undefined && { 'fleet-tls/ca.pem': fleet.authorityPem }),
  });
  const site =
    fleet?.site ??
    (await oneMachineSite({
      directory: place,
      findBuild,
      secrets,
      certificates,
      routerCommand: [process.execPath, process.argv[1]!, 'router', '--data-dir', place],
      sentinelPort,
      crashing: crashingAt(config.crashPoint, () => process.kill(process.pid, 'SIGKILL')),
      onProblem: (error, what) => logger.error({ error }, what),
    }));
  let otlp: Otlp | undefined;
  const control = await startControlPlane({
    database,
    metricDatabase,
    logDatabase,
    ...(printLogs && { printLogs: printLine }),
    host: site.host,
    engines,
    scratch,
    router: site.router,
    ...(site.sentinel !== undefined && { sentinel: site.sentinel }),
    ...(objectStore !== undefined && { buckets: bucketsOf(objectStore) }),
    drillEveryMs,
    secrets,
    placement: site.placement,
    place: { region: defaultRegion, accountId },
    places,
    nowMs: Date.now,
    scalingPeriodMs,
    notifications,
    processUsage,
    onPass: (pass) => otlp?.pass(pass),
    recommendedAlarms,
    logger,
  });
  otlp = config.otlp && (await import('./otlp.ts')).startOtlp(config.otlp, control.exposition);
  await site.begin(control);
  const doors = await fleet?.serve(control);
  const operators = await operatorSocket({
    directory: place,
    drill: control.drill,
    topics: control.topics,
    alarms: control.alarms,
    ...doors?.operations,
  });
  return {
    api: createApi({
      handlers: control.handlers,
      scalingHandlers: control.scalingHandlers,
      cloudWatchHandlers: control.cloudWatchHandlers,
      snsHandlers: control.topics.handlers,
      logsHandlers: control.logsHandlers,
      events: control.events,
      onServed(served) {
        control.counts.request(served);
        otlp?.request(served);
      },
      lookupAccessKey: accessKeyLookup(place),
      region: defaultRegion,
      accountId,
      logger,
      now: () => new Date(),
    }),
    exposition: control.exposition,
    async stop() {
      await otlp?.stop();
      control.events.stop();
      operators.close();
      doors?.close();
      await control.stop();
      await site.close();
      await scratch.close();
    },
  };
}

/** One JSON object a line. */
function printLine(line: DeliveredLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function processUsage() {
  const { user, system } = process.cpuUsage();
  return { residentBytes: process.memoryUsage.rss(), cpuSeconds: (user + system) / 1e6 };
}
