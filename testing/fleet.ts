/** A service with hosts for tests: each host is an agent in a network namespace of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootFolder } from '../bench/root-folder.ts';
import { type EngineProcess, endProcess, engineProcesses } from './engine-processes.ts';
import { type HostNetwork, makeHostNetwork, type TestMachine } from './host-network.ts';
import { larderCommand, startLarder, type TestLarder } from './larder.ts';
import { waitFor } from './wait-for.ts';

const program = join(rootFolder, 'apps', 'larder', 'dist', 'main.js');
const hostsPort = 7071;
const agentPort = 7072;

export interface TestHost extends TestMachine {
  readonly zone: string;
  readonly dataDirectory: string;
  /** Of the agent. */
  readonly pid: number;
  /** Everything the agent printed. */
  readonly log: string;
  processes(): EngineProcess[];
  /** SIGKILL of the agent alone. */
  killAgent(): Promise<void>;
  /** Again, on what it has on disk. */
  startAgent(): Promise<void>;
}

export interface TestFleet {
  readonly larder: TestLarder;
  /** Of the service: another controller needs the same. */
  readonly serverFlags: readonly string[];
  readonly network: HostNetwork;
  readonly hosts: readonly TestHost[];
  hostOf(member: string): TestHost | undefined;
  remove(): Promise<void>;
}

export interface FleetOptions {
  /** Host -> its zone. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Further machines on the network, without an agent: for clients. */
  readonly clients?: readonly string[];
  readonly serverFlags?: readonly string[];
  /** Endpoints are names in this domain, and every host answers for them at its address, port 53. */
  readonly endpointDomain?: string;
  readonly logLevel?: 'debug' | 'info' | 'warn';
}

const threeHosts = { h1: 'us-east-1a', h2: 'us-east-1b', h3: 'us-east-1c' };

/** Resolves when every host is connected. */
export async function startFleet(options: FleetOptions = {}): Promise<TestFleet> {
  const zones: Readonly<Record<string, string>> = options.hosts ?? threeHosts;
  const { clients = [], serverFlags = [], endpointDomain, logLevel = 'warn' } = options;
  const network = makeHostNetwork([...Object.keys(zones), ...clients]);
  const flags = [
    ...['--hosts-listen', `${network.address}:${hostsPort}`],
    ...(endpointDomain === undefined
      ? ['--endpoint-addresses', network.endpointAddresses]
      : ['--endpoint-domain', endpointDomain]),
    ...serverFlags,
  ];
  const hosts: TestHost[] = [];
  let larder: TestLarder | undefined;
  async function remove(): Promise<void> {
    // The service first: it would start again what ends.
    await larder?.remove();
    for (const host of hosts) endProcess(host.pid);
    for (const host of hosts) {
      for (const { pid } of host.processes()) endProcess(pid);
      await waitFor(host.processes, (left) => left.length === 0, {
        what: `the engines of ${host.name} to end`,
      });
      // Its router and its guard end when they see it gone, and may write until then.
      await rm(host.dataDirectory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }
    network.remove();
  }
  try {
    larder = await startLarder({ logLevel, flags });
    await leads(larder);
    const machines = network.machines.filter(({ name }) => name in zones);
    for (const machine of machines) {
      const flags = endpointDomain === undefined ? [] : ['--dns-listen', `${machine.address}:53`];
      hosts.push(await startHost(machine, zones[machine.name]!, network.address, larder, flags));
    }
    await connected(larder, hosts.length);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    larder,
    serverFlags: flags,
    network,
    hosts,
    hostOf: (member) =>
      hosts.find((host) => host.processes().some(({ nodeId }) => nodeId === `${member}.0001`)),
    remove,
  };
}

export async function hostStates(larder: TestLarder): Promise<Record<string, string>> {
  const { stdout } = await larderCommand(['hosts', 'ls', '--data-dir', larder.dataDirectory, '--json']);
  const hosts = JSON.parse(stdout) as { name: string; state: string }[];
  return Object.fromEntries(hosts.map(({ name, state }) => [name, state]));
}

/** A controller on a shared database listens before it leads. */
async function leads({ dataDirectory }: TestLarder): Promise<void> {
  await waitFor(
    () => larderCommand(['hosts', 'ls', '--data-dir', dataDirectory, '--json']),
    ({ code }) => code === 0,
    { what: 'the controller to lead' },
  );
}

async function connected(larder: TestLarder, count: number): Promise<void> {
  await waitFor(
    () => hostStates(larder),
    (states) => Object.values(states).filter((state) => state === 'connected').length === count,
    { what: `${count} hosts to be connected` },
  );
}

async function startHost(
  machine: TestMachine,
  zone: string,
  controller: string,
  larder: TestLarder,
  everyStart: readonly string[],
): Promise<TestHost> {
  const dataDirectory = await realpath(await mkdtemp(join(tmpdir(), `larder-host-${machine.name}-`)));
  const token = await larderCommand(['hosts', 'token', '--data-dir', larder.dataDirectory, '--json']);
  if (token.code !== 0) throw new Error(`No token: ${token.stderr}`);
  let log = '';
  let child: ChildProcess | undefined;

  async function start(flags: readonly string[]): Promise<void> {
    const [file, ...prefix] = machine.prefix;
    const command = [process.execPath, program, 'agent', '--data-dir', dataDirectory, '--log-level', 'info'];
    const started = spawn(file!, [...prefix, ...command, ...everyStart, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    started.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    await new Promise<void>((resolve, reject) => {
      started.stdout.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('serves controllers')) resolve();
      });
      started.once('exit', (code) =>
        reject(new Error(`The agent of ${machine.name} ended with ${code}: ${log.slice(-2_000)}`)),
      );
    });
  }
  await start([
    ...['--join', `https://${controller}:${hostsPort}`, '--token', JSON.parse(token.stdout).token as string],
    ...['--name', machine.name, '--zone', zone, '--listen', `${machine.address}:${agentPort}`],
    ...['--addresses', machine.addresses, '--interface', 'eth0'],
  ]);
  return {
    ...machine,
    zone,
    dataDirectory,
    get pid() {
      return child!.pid!;
    },
    get log() {
      return log;
    },
    processes: () => engineProcesses(dataDirectory),
    async killAgent() {
      const gone = new Promise((resolve) => child!.once('exit', resolve));
      endProcess(child!.pid!);
      await gone;
    },
    startAgent: () => start([]),
  };
}
