/** `larder agent`: runs the nodes that a service elsewhere places on this machine. */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { engineStore } from '@larder/engine/store/engine-store';
import { startAgent } from '@larder/fleet/agent/agent';
import {
  type HostSettings,
  joinFleet,
  type Membership,
  readMembership,
} from '@larder/fleet/agent/membership';
import { isLocked } from '@larder/fleet/process-lock';
import { routerClient } from '@larder/fleet/router/router-client';
import { pino } from 'pino';
import type { Config } from '../config.ts';
import { ended } from '../ended.ts';
import { UsageError } from '../usage-error.ts';

export interface AgentFlags {
  readonly dataDirectory: string;
  readonly logLevel: string;
  /** Of the service; only for the first start. */
  readonly join?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly name?: string;
  readonly zone?: string;
  readonly listen?: string;
  readonly addresses?: string;
  readonly interface?: string;
  /** At the agent's address; 0: clients of Sentinel are not served. */
  readonly sentinelPort: number;
  /** Where questions about endpoints' names are answered: `ADDRESS:PORT`. Missing: nowhere. */
  readonly dnsListen?: string;
}

const guardEveryMs = 1_000;

/** Resolves when the agent has ended in an orderly way. Nodes run on, for as long as their host's lease does. */
export async function runAgent(config: Config, flags: AgentFlags): Promise<void> {
  await mkdir(flags.dataDirectory, { recursive: true, mode: 0o700 });
  const directory = realpathSync(flags.dataDirectory);
  const logger = pino(
    { level: flags.logLevel, serializers: { error: pino.stdSerializers.err } },
    pino.destination(2),
  );
  const membership = (await readMembership(directory)) ?? (await joinFirst(directory, flags));
  const engines = engineStore({
    directory: join(config.directories.cache, 'engines'),
    searchPath: config.searchPath,
  });
  const onProblem = (error: Error) => logger.error({ error }, 'Something went wrong on this host.');
  const program = [process.execPath, process.argv[1]!];
  const servesSentinel = flags.sentinelPort !== 0;
  const names = flags.dnsListen === undefined ? undefined : readPlace('--dns-listen', flags.dnsListen);
  const router = await routerClient({
    directory,
    command: [...program, 'router', '--data-dir', directory],
    ...(servesSentinel && { sentinel: { address: membership.listen.address, port: flags.sentinelPort } }),
    ...(names !== undefined && { names }),
    onProblem,
  });
  const stopGuarding = keepGuard(directory, [...program, 'guard', '--data-dir', directory], onProblem);
  const agent = await startAgent({
    directory,
    membership,
    async findBuild(engine, version) {
      const build = await engines.find(engine, version);
      if (build !== undefined) return build;
      throw new Error(
        `${engine} ${version} is not on host ${membership.name}; run "larder engines install ${engine} ${version}" there.`,
      );
    },
    router,
    ...((servesSentinel || names !== undefined) && { sentinel: router }),
    onProblem,
    onNotice: (text) => logger.warn({}, text),
  });
  const { address, port } = membership.listen;
  process.stdout.write(
    `Host ${membership.name} (${membership.zone}) serves controllers on https://${address}:${port}\n`,
  );

  await ended();
  stopGuarding();
  await agent.close();
  await router.close();
  logger.info({}, 'The agent ended; its nodes run on until their lease ends.');
}

async function joinFirst(directory: string, flags: AgentFlags): Promise<Membership> {
  const { join: url, name, zone, listen, addresses } = flags;
  const missing = Object.entries({ join: url, name, zone, listen, addresses }).find(
    ([, value]) => value === undefined,
  );
  if (missing !== undefined) {
    throw new UsageError(
      `This machine has not joined yet: say --${missing[0]} too. "larder hosts token" makes a token.`,
    );
  }
  const place = readPlace('--listen', listen!);
  if (!URL.canParse(url!))
    throw new UsageError('--join must be the URL of a service, such as https://10.0.0.1:7071.');
  const token = flags.tokenFile === undefined ? flags.token : await readFile(flags.tokenFile, 'utf8');
  if (token === undefined)
    throw new UsageError('Say --token or --token-file; "larder hosts token" makes one.');
  const settings: HostSettings = {
    name: name!,
    zone: zone!,
    listen: place,
    addresses: addresses!,
    ...(flags.interface !== undefined && { interface: flags.interface }),
  };
  return joinFleet(directory, url!, token, settings);
}

function readPlace(option: string, text: string): { readonly address: string; readonly port: number } {
  const [address = '', port = ''] = text.split(':');
  if (isIPv4(address) && /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535) {
    return { address, port: Number(port) };
  }
  throw new UsageError(`${option} must be an IPv4 address and a port, such as 10.0.0.11:7072.`);
}

/** Has a guard at work at all times. It outlives the agent, and serves the next one. */
function keepGuard(
  directory: string,
  command: readonly string[],
  onProblem: (error: Error) => void,
): () => void {
  let running = false;
  async function start(): Promise<void> {
    if (running || (await isLocked('guard', directory))) return;
    running = true;
    const log = await open(join(directory, 'guard.log'), 'a', 0o600);
    const [file, ...args] = command;
    const child = spawn(file!, args, { cwd: directory, detached: true, stdio: ['ignore', log.fd, log.fd] });
    const over = () => {
      running = false;
    };
    child.once('exit', over);
    child.once('error', (error) => {
      over();
      onProblem(error);
    });
    child.unref();
    await log.close();
  }
  const timer = setInterval(() => void start().catch(onProblem), guardEveryMs);
  void start().catch(onProblem);
  return () => clearInterval(timer);
}
