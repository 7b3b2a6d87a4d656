#!/usr/bin/env node
/** The command line. Exit codes: 0 done, 1 failed, 2 called wrongly. */
import { Command, CommanderError } from 'commander';
import type { AgentFlags } from './commands/agent.ts';
import { accountId, defaultPort, defaultRegion, defaultSentinelPort, readConfig } from './config.ts';
import { type MetricsFlags, metricsListen } from './metrics-listener.ts';
import { type NotificationFlags, notificationSettings } from './notification-flags.ts';
import { readUrlFile } from './read-url-file.ts';
import { UsageError } from './usage-error.ts';

// Commands are loaded when they run: one needs a client of AWS, another must be back in an instant.
const config = readConfig();
const program = new Command('larder')
  .description('A managed in-memory cache that you run yourself.')
  .version('0.1.0')
  .exitOverride()
  .showSuggestionAfterError();

program
  .command('server')
  .description("serve ElastiCache's API on this machine")
  .option('--data-dir <folder>', 'where state and nodes are kept', config.directories.data)
  .option('--port <number>', 'port on 127.0.0.1; 0 for any', String(defaultPort))
  .option(
    '--sentinel-port <number>',
    'port on 127.0.0.1 that tells clients of Sentinel who is primary; 0 for none',
    String(defaultSentinelPort),
  )
  .option('--scaling-period <seconds>', 'how often autoscaling looks at the load', '60')
  .option('--log-level <level>', 'debug, info, warn, error or silent', 'info')
  .option('--database-url-file <file>', 'holds postgres://…: several controllers, of which one leads')
  .option('--hosts-listen <address:port>', 'run nodes on hosts that join here with "larder agent"')
  .option('--endpoint-addresses <range>', "for endpoints, on the hosts' network: 10.0.9.0/24")
  .option('--endpoint-domain <domain>', 'instead: endpoints are names in it, which hosts answer for')
  .option('--replace-after <seconds>', 'replicas of a host lost for so long are made anew elsewhere', '600')
  .option('--s3-endpoint <url>', 'object store for exports and seeds; speaks S3')
  .option('--s3-region <region>', "its region; without --s3-endpoint it is Amazon's own")
  .option('--s3-path-style', 'buckets in the path of URLs instead of the name of the host')
  .option('--s3-credentials-file <file>', "as AWS's own; without it where the AWS SDK finds some")
  .option(
    '--restore-drill-every <hours>',
    'how often the last snapshots are loaded to see; 0 for never',
    '24',
  )
  .option('--metrics-listen <address:port>', 'where Prometheus reads /metrics')
  .option('--metrics-token-file <file>', 'whoever reads /metrics needs the token in it')
  .option('--print-logs', 'what is delivered of engine logs, on standard output too: a JSON object a line')
  .option('--smtp-url-file <file>', 'holds smtps://user:password@host: e-mail of topics goes there')
  .option('--mail-from <address>', 'whom e-mail of topics is from')
  .option('--notify-command <path...>', 'programs that topics may give messages to')
  .option('--recommended-alarms <topic>', 'every cache gets them; they tell the topic of that ARN, or "none"')
  .option('--webhooks-to-loopback', 'webhooks of topics may lead to this machine and its link')
  .action(async (flags: ServerFlags) =>
    (await import('./commands/server.ts')).runServer(config, {
      dataDirectory: flags.dataDir,
      port: portNumber('--port', flags.port),
      sentinelPort: portNumber('--sentinel-port', flags.sentinelPort),
      scalingPeriodMs: scalingPeriod(flags.scalingPeriod) * 1_000,
      logLevel: logLevel(flags.logLevel),
      ...fleetFlags(flags),
      ...objectStoreFlags(flags),
      drillEveryMs: drillEveryMs(flags.restoreDrillEvery),
      notifications: await notificationSettings(config, flags),
      ...recommendedAlarms(flags),
      printLogs: flags.printLogs ?? false,
      metrics: await metricsListen(flags),
      ...(flags.databaseUrlFile !== undefined && {
        databaseUrl: await readDatabaseUrl(flags.databaseUrlFile),
      }),
    }),
  );

program
  .command('agent')
  .description('run the nodes that a service elsewhere places on this machine')
  .option('--data-dir <folder>', 'where nodes are kept', config.directories.data)
  .option('--join <url>', 'first start: the service, at its --hosts-listen address')
  .option('--token <token>', 'first start: made by "larder hosts token"; good once')
  .option('--token-file <file>', 'first start: the same from a file')
  .option('--name <name>', 'first start: what the host is called')
  .option('--zone <zone>', 'first start: the availability zone it stands for')
  .option('--listen <address:port>', 'first start: where controllers and other hosts reach the agent')
  .option('--addresses <range>', 'first start: for its nodes, its own on the network: 10.0.1.0/24')
  .option('--interface <name>', 'first start: put addresses on it; needs the right to')
  .option(
    '--sentinel-port <number>',
    "port on the agent's address that tells clients of Sentinel who is primary; 0 for none",
    String(defaultSentinelPort),
  )
  .option('--dns-listen <address:port>', "answer questions about endpoints' names there; port 53 needs root")
  .option('--log-level <level>', 'debug, info, warn, error or silent', 'info')
  .action(async ({ dataDir, sentinelPort, ...flags }: RawAgentFlags) =>
    (await import('./commands/agent.ts')).runAgent(config, {
      ...flags,
      dataDirectory: dataDir,
      sentinelPort: portNumber('--sentinel-port', sentinelPort),
      logLevel: logLevel(flags.logLevel),
    }),
  );

program
  .command('guard')
  .description("take writes away from this host's primaries when its agent can't: the agent starts it")
  .option('--data-dir <folder>', "the agent's data directory", config.directories.data)
  .action(async (flags: { dataDir: string }) =>
    (await import('./commands/guard.ts')).runGuard(flags.dataDir),
  );

const hosts = program.command('hosts').description('the machines that run nodes');
hosts
  .command('ls')
  .description('list them, and whether they can be reached')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as a JSON array')
  .action(async (flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/hosts.ts')).listFleet(flags.dataDir, flags.json ?? false),
  );
hosts
  .command('token')
  .description('make a token with which one machine may join')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as one JSON object')
  .action(async (flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/hosts.ts')).makeToken(flags.dataDir, flags.json ?? false),
  );
hosts
  .command('rm <name>')
  .description('take one out')
  .option('--lost', 'it is gone for good: make its nodes anew elsewhere')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as one JSON object')
  .action(async (name: string, flags: { dataDir: string; lost?: boolean; json?: boolean }) =>
    (await import('./commands/hosts.ts')).removeFromFleet(flags.dataDir, name, {
      lost: flags.lost ?? false,
      json: flags.json ?? false,
    }),
  );

const snapshots = program.command('snapshots').description('what was saved');
snapshots
  .command('drill [id]')
  .description("load every group's and cluster's last snapshot, or one's, to see that it can be restored")
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as a JSON array')
  .action(async (id: string | undefined, flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/snapshots.ts')).drillSnapshots(flags.dataDir, id, flags.json ?? false),
  );

const alarms = program
  .command('alarms')
  .description('alarms; they are made and changed with "aws cloudwatch" as well');
alarms
  .command('ls')
  .description('list them with their states')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as a JSON array')
  .action(async (flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/alarms.ts')).listAlarms(flags.dataDir, flags.json ?? false),
  );
alarms
  .command('recommend <id>')
  .description('make the recommended alarms of a replication group or cache cluster; they go with it')
  .option('--topic <arn>', 'of the topic that they tell')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'their names as a JSON array')
  .action(async (id: string, flags: { topic?: string; dataDir: string; json?: boolean }) =>
    (await import('./commands/alarms.ts')).recommendAlarms(flags.dataDir, id, {
      topic: flags.topic === undefined ? undefined : topicArn('--topic', flags.topic),
      json: flags.json ?? false,
    }),
  );

const topics = program
  .command('topics')
  .description('what topics have to deliver; topics themselves are made with "aws sns"');
topics
  .command('deliveries')
  .description('list what waits and what was given up, with why')
  .option('--retry', 'try again what was given up')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as a JSON array')
  .action(async (flags: { dataDir: string; retry?: boolean; json?: boolean }) =>
    (await import('./commands/topics.ts')).listDeliveries(flags.dataDir, {
      retry: flags.retry ?? false,
      json: flags.json ?? false,
    }),
  );
topics
  .command('secret <subscription>')
  .description("make the secret that a webhook's messages are signed with; it is shown this once")
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as one JSON object')
  .action(async (subscription: string, flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/topics.ts')).makeWebhookSecret(
      flags.dataDir,
      subscription,
      flags.json ?? false,
    ),
  );

program
  .command('router')
  .description("serve what engines can't themselves: the service starts it, and it outlives the service")
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .action(async (flags: { dataDir: string }) =>
    (await import('./commands/router.ts')).runRouter(flags.dataDir),
  );

program
  .command('events')
  .description('print what happened to caches')
  .option('--follow', 'and go on with what happens from now on')
  .option('--minutes <number>', 'how far back it begins', '60')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'a JSON object a line')
  .action(async (flags: { dataDir: string; minutes: string; follow?: boolean; json?: boolean }) =>
    (await import('./commands/events.ts')).printEvents(flags.dataDir, {
      follow: flags.follow ?? false,
      json: flags.json ?? false,
      minutes: Number(flags.minutes),
    }),
  );

const metrics = program.command('metrics').description('what is measured');
metrics
  .command('push')
  .description('carry it to CloudWatch as it comes, minute by minute')
  .requiredOption('--namespace <name>', 'there')
  .option('--region <region>', 'there')
  .option('--endpoint-url <url>', "instead of Amazon's own")
  .option('--from <namespace>', 'here', 'AWS/ElastiCache')
  .option('--since-minutes <number>', 'how far back a first push begins', '0')
  .option('--requests-per-second <number>', 'at most', '5')
  .option('--once', 'end when everything that is there was pushed')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .action(async ({ dataDir, sinceMinutes, requestsPerSecond, once, ...flags }: RawPushFlags) =>
    (await import('./commands/metrics-push.ts')).runMetricsPush(dataDir, {
      ...flags,
      sinceMinutes: Number(sinceMinutes),
      requestsPerSecond: Number(requestsPerSecond),
      once: once ?? false,
    }),
  );

program
  .command('env')
  .description('print what clients need, for eval "$(larder env)"')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as one JSON object')
  .action(async (flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/env.ts')).printEnv(flags.dataDir, flags.json ?? false),
  );

const keys = program.command('keys').description('the access keys that clients of the service use');
keys
  .command('ls')
  .description('list them, without their secrets')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as a JSON array')
  .action(async (flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/keys.ts')).listKeys(flags.dataDir, flags.json ?? false),
  );
keys
  .command('add')
  .description('make one; its secret is shown this once')
  .option('--rights <rights>', 'read-only (Describe and List alone) or operator', 'read-only')
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as one JSON object')
  .action(async (flags: { rights: string; dataDir: string; json?: boolean }) =>
    (await import('./commands/keys.ts')).addKey(flags.dataDir, flags.rights, flags.json ?? false),
  );
keys
  .command('rm <accessKeyId>')
  .description("remove one; never the last operator's")
  .option('--data-dir <folder>', "the service's data directory", config.directories.data)
  .option('--json', 'as one JSON object')
  .action(async (accessKeyId: string, flags: { dataDir: string; json?: boolean }) =>
    (await import('./commands/keys.ts')).removeKey(flags.dataDir, accessKeyId, flags.json ?? false),
  );

const engines = program.command('engines').description('the engine versions this machine can run');
engines
  .command('ls')
  .description('list them')
  .option('--json', 'as a JSON array')
  .action(async (flags: { json?: boolean }) =>
    (await import('./commands/engines.ts')).listEngines(config, flags.json ?? false),
  );
engines
  .command('install [engine] [version]')
  .description('fetch an engine without root; all of them without a name')
  .option('--revision <revision>', 'a package\'s own, or "newest": also when an older one is here')
  .action(async (engine: string | undefined, version: string | undefined, flags: { revision?: string }) =>
    (await import('./commands/engines.ts')).installEngines(config, { engine, version, ...flags }),
  );
engines
  .command('path <engine> [version]')
  .description('print the command that runs it, one word a line')
  .action(async (engine: string, version?: string) =>
    (await import('./commands/engines.ts')).printEnginePath(config, engine, version),
  );

program
  .command('invalidator')
  .description("carry a database's changes to a cache, as a process of its own")
  .requiredOption('--config <file>', 'ES module that exports `cache` and `source`')
  .option('--json', 'a JSON line per event, and the status once a second')
  .action(async (flags: { config: string; json?: boolean }) =>
    (await import('./commands/invalidator.ts')).runInvalidator(flags.config, flags.json ?? false),
  );

program
  .command('doctor')
  .description('check the database and the engine behind a cache; exit code 1 when something is wrong')
  .option('--config <file>', 'ES module that exports `cache`, and `postgres` and `far` to be checked')
  .option(
    '--postgres-url-file <file>',
    'holds postgres://user:password@host:port/database; without it PG* variables',
  )
  .option('--slot <name>', 'replication slot of the cache', 'larder')
  .option('--publication <name>', 'publication of the watched tables', 'larder')
  .option('--table <table:columns...>', 'a watched table and what is read of it: public.products:id,slug')
  .option('--json', 'as one JSON object')
  .action(
    async (flags: {
      config?: string;
      postgresUrlFile?: string;
      slot: string;
      publication: string;
      table?: string[];
      json?: boolean;
    }) =>
      (await import('./commands/doctor.ts')).runDoctor(config, {
        ...flags,
        table: flags.table ?? [],
        json: flags.json ?? false,
      }),
  );

interface RawPushFlags {
  readonly dataDir: string;
  readonly namespace: string;
  readonly from: string;
  readonly region?: string;
  readonly endpointUrl?: string;
  readonly sinceMinutes: string;
  readonly requestsPerSecond: string;
  readonly once?: boolean;
}

type RawAgentFlags = Omit<AgentFlags, 'sentinelPort'> & {
  readonly dataDir: string;
  readonly sentinelPort: string;
};

interface ServerFlags extends NotificationFlags, MetricsFlags {
  readonly dataDir: string;
  readonly port: string;
  readonly sentinelPort: string;
  readonly scalingPeriod: string;
  readonly logLevel: string;
  readonly databaseUrlFile?: string;
  readonly hostsListen?: string;
  readonly endpointAddresses?: string;
  readonly endpointDomain?: string;
  readonly replaceAfter: string;
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
  readonly s3PathStyle?: boolean;
  readonly s3CredentialsFile?: string;
  readonly restoreDrillEvery: string;
  readonly recommendedAlarms?: string;
  readonly printLogs?: boolean;
}

function objectStoreFlags({ s3Endpoint, s3Region, s3PathStyle, s3CredentialsFile }: ServerFlags) {
  if (s3Endpoint === undefined && s3Region === undefined) {
    if (s3PathStyle === undefined && s3CredentialsFile === undefined) return {};
    throw new UsageError('--s3-path-style and --s3-credentials-file need --s3-endpoint or --s3-region.');
  }
  if (s3Endpoint !== undefined && !isHttpUrl(s3Endpoint)) {
    throw new UsageError(
      '--s3-endpoint must be a URL such as https://s3.example, with no user and password.',
    );
  }
  return {
    objectStore: {
      ...(s3Endpoint !== undefined && { endpoint: s3Endpoint }),
      region: s3Region ?? defaultRegion,
      forcePathStyle: s3PathStyle ?? false,
      ...(s3CredentialsFile !== undefined && { credentialsFile: s3CredentialsFile }),
    },
  };
}

function recommendedAlarms({ recommendedAlarms: given }: ServerFlags) {
  if (given === undefined) return {};
  const topic = given === 'none' ? undefined : topicArn('--recommended-alarms', given);
  return { recommendedAlarms: { topic } };
}

function topicArn(option: string, text: string): string {
  if (/^arn:aws:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/.test(text)) return text;
  throw new UsageError(
    `${option} must be a topic's ARN, such as arn:aws:sns:${defaultRegion}:${accountId}:ops, not ${JSON.stringify(text)}.`,
  );
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

function drillEveryMs(text: string): number {
  const hours = Number(text);
  // Beyond it a timer would fire at once.
  if (text !== '' && hours >= 0 && hours <= 24 * 366) return hours * 3_600_000;
  throw new UsageError('--restore-drill-every must be a number of hours, 0 for never.');
}

function fleetFlags({
  databaseUrlFile,
  hostsListen,
  endpointAddresses,
  endpointDomain,
  replaceAfter,
}: ServerFlags) {
  const endpoints =
    endpointAddresses !== undefined
      ? { addresses: endpointAddresses }
      : endpointDomain !== undefined
        ? { domain: endpointDomain }
        : undefined;
  const both = endpointAddresses !== undefined && endpointDomain !== undefined;
  if ((hostsListen === undefined) !== (endpoints === undefined) || both) {
    throw new UsageError(
      '--hosts-listen needs one of --endpoint-addresses and --endpoint-domain, and they need it.',
    );
  }
  const seconds = Number(replaceAfter);
  if (!(seconds > 0)) throw new UsageError('--replace-after must be a number of seconds.');
  if (databaseUrlFile !== undefined && hostsListen === undefined) {
    throw new UsageError(
      '--database-url-file needs --hosts-listen: with several controllers nodes run on hosts.',
    );
  }
  if (hostsListen === undefined || endpoints === undefined) return {};
  return { hosts: { listen: hostsListen, endpoints, replaceAfterMs: seconds * 1_000 } };
}

function readDatabaseUrl(file: string): Promise<string> {
  return readUrlFile('--database-url-file', file, {
    pattern: /^postgres(ql)?:\/\/\S+$/,
    example: 'postgres://user:password@host:5432/larder',
  });
}

function portNumber(option: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new UsageError(`${option} must be a number from 0 to 65535, not ${JSON.stringify(text)}.`);
}

/** In seconds; also fractions. */
function scalingPeriod(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= 3_600) return seconds;
  throw new UsageError('--scaling-period must be a number of seconds from 0.1 to 3600.');
}

function logLevel(text: string): string {
  if (['debug', 'info', 'warn', 'error', 'silent'].includes(text)) return text;
  throw new UsageError(
    `--log-level must be debug, info, warn, error or silent, not ${JSON.stringify(text)}.`,
  );
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  process.stderr.write(`larder: ${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof UsageError ? 2 : 1;
}
