/** What counts as hung, with real engines and the thread that asks them. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDefaultUser, serviceUser } from '@larder/engine/acl';
import type { EngineName } from '@larder/engine/engine';
import { engineStore } from '@larder/engine/store/engine-store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directories, searchPath } from '../../../../testing/config.ts';
import { command, freshAddress, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { endProcess, engineProcesses } from '../../../../testing/engine-processes.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import type { Host, Incarnation, NodeObservation } from '../host.ts';
import { nodeSecrets, passwordHash } from '../node-secrets.ts';
import type { NodeSpec } from '../node-spec.ts';
import { processHost } from '../process-host.ts';
import { silenceLimitMs } from './limits.ts';

const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
const secrets = nodeSecrets(randomBytes(32));
const order = { group: 'shop', epoch: 1 };
let directory: string;
let host: Host;
const engines: TestEngine[] = [];

async function open(): Promise<Host> {
  return processHost({
    id: 'test',
    directory,
    findBuild: async (engine, version) => (await store.find(engine, version))!,
    secrets,
    certificates: {
      issue: async () => {
        throw new Error('No node here has TLS.');
      },
    },
    onProblem() {},
  });
}

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'larder-hang-')));
  host = await open();
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
  await host.close();
  for (const { pid } of engineProcesses(directory)) endProcess(pid);
  await waitFor(
    () => engineProcesses(directory),
    (left) => left.length === 0,
    { what: 'the engines to end' },
  );
  await rm(directory, { recursive: true, force: true });
});

const place = ({ settings }: NodeSpec) => ({ host: settings.address, port: settings.port });

async function start(nodeId = 'shop-001.0001', engine: EngineName = 'valkey'): Promise<NodeSpec> {
  const { version } = (await store.find(engine))!;
  const port = engine === 'memcached' ? 11211 : 6379;
  const spec: NodeSpec = {
    nodeId,
    version,
    generation: 1,
    settings: {
      engine,
      address: freshAddress(),
      port,
      plainPort: port,
      tlsPort: 0,
      busEncrypted: false,
      endpointAddresses: [],
      maxmemoryBytes: 2 ** 28,
      maxConnections: 1_000,
      clusterEnabled: false,
      forming: false,
      encryptedAtRest: true,
      parameters: {},
      users:
        engine === 'memcached'
          ? []
          : [
              openDefaultUser(engine, version),
              serviceUser(passwordHash(secrets.admin(nodeId)), engine, version),
            ],
    },
  };
  await host.startNode(spec);
  await waitFor(
    () => observe(nodeId),
    ({ engine: answer, memcachedItems }) => answer !== undefined || memcachedItems !== undefined,
    { what: 'the node to answer' },
  );
  return spec;
}

async function observe(nodeId = 'shop-001.0001'): Promise<NodeObservation> {
  return (await host.observe([nodeId])).get(nodeId)!;
}

function hangOf({ process }: NodeObservation) {
  return process.kind === 'running' ? process.hang : undefined;
}

async function runOf(nodeId?: string): Promise<Incarnation> {
  const { process } = await observe(nodeId);
  if (process.kind !== 'running') throw new Error(`It is ${process.kind}.`);
  return process.incarnation;
}

function hangs(nodeId?: string): Promise<NodeObservation> {
  return waitFor(
    () => observe(nodeId),
    (seen) => hangOf(seen) !== undefined,
    { what: 'the hang to be seen' },
  );
}

/** Whether any hang was reported while `during` ran. */
async function anyHang(during: () => Promise<unknown>): Promise<string[]> {
  const found: string[] = [];
  const stop = host.onChange((nodeId) => {
    void observe(nodeId).then((seen) => {
      const hang = hangOf(seen);
      if (hang !== undefined) found.push(`${nodeId} ${hang.how}`);
    });
  });
  await during();
  stop();
  return found;
}

/** A second engine that hangs for certain: what the first one is not blamed for until then, it is never blamed for. */
async function untilAnotherHangs(nodeId: string): Promise<void> {
  const { pid } = await runOf(nodeId);
  endProcess(pid, 'SIGSTOP');
  await hangs(nodeId);
}

describe('a process that is stopped', () => {
  test.each(['valkey', 'memcached'] as const)('hangs: %s', async (engine) => {
    await start(undefined, engine);
    const { pid } = await runOf();
    const told = new Promise<string>((resolve) => host.onChange(resolve));
    endProcess(pid, 'SIGSTOP');
    expect(await told).toBe('shop-001.0001');
    const seen = await hangs();
    expect(hangOf(seen)!.how).toBe('stopped');
    expect(hangOf(seen)!.silentMs).toBeGreaterThan(silenceLimitMs.stopped - 200);
    expect(seen.engine).toBeUndefined();
  });

  test('hangs no more when it goes on, and serves', async () => {
    const spec = await start();
    const { pid } = await runOf();
    endProcess(pid, 'SIGSTOP');
    await hangs();
    endProcess(pid, 'SIGCONT');
    await waitFor(observe, (seen) => hangOf(seen) === undefined && seen.engine !== undefined, {
      what: 'it to be observed again',
    });
    expect(await command(place(spec), ['SET', 'a', '1'])).toBe('+OK\r\n');
  });

  test('is killed: just that run, and no later one', async () => {
    const spec = await start();
    const run = await runOf();
    endProcess(run.pid, 'SIGSTOP');
    await hangs();
    expect(await host.killNode(spec.nodeId, order, { ...run, startTicks: run.startTicks - 1 })).toBe(true);
    expect((await observe()).process.kind).toBe('running');
    expect(await host.killNode(spec.nodeId, order, run)).toBe(true);
    expect(await observe()).toMatchObject({ process: { kind: 'dead', incarnation: run } });
    await waitFor(observe, ({ process }) => process.kind === 'dead' && process.how !== 'exiting', {
      what: 'its end',
    });
    await host.startNode(spec);
    const next = await runOf();
    expect(await host.killNode(spec.nodeId, order, run)).toBe(true);
    expect(await runOf()).toEqual(next);
  });

  test('is found by a host that is opened later', async () => {
    await start();
    const { pid } = await runOf();
    await host.close();
    endProcess(pid, 'SIGSTOP');
    host = await open();
    expect(hangOf(await hangs())!.how).toBe('stopped');
  });
});

describe('no hang is', () => {
  test('a script without end: before it answers BUSY, nor then', async () => {
    const spec = await start('busy.0001');
    await start('other.0001');
    void command(place(spec), ['EVAL', 'while true do end', '0']).catch(() => {});
    const blamed = await anyHang(async () => {
      await waitFor(
        () =>
          command(place(spec), ['PING']).then(
            () => 'answers',
            (error: Error) => error.message.split(' ')[0],
          ),
        (answer) => answer === 'BUSY',
        { what: 'BUSY' },
      );
      await untilAnotherHangs('other.0001');
    });
    expect(blamed.filter((each) => each.startsWith('busy'))).toEqual([]);
    expect(await command(place(spec), ['SCRIPT', 'KILL'])).toBe('+OK\r\n');
  });

  test('a pause that a client asked for', async () => {
    const spec = await start('paused.0001');
    await start('other.0001');
    expect(await command(place(spec), ['CLIENT', 'PAUSE', '60000', 'ALL'])).toBe('+OK\r\n');
    const blamed = await anyHang(async () => {
      await untilAnotherHangs('other.0001');
      await sleep(silenceLimitMs.blocked + silenceLimitMs.idle);
    });
    expect(blamed.filter((each) => each.startsWith('paused'))).toEqual([]);
  });

  test('an engine that loads', async () => {
    const spec = await start('loads.0001');
    await start('other.0001');
    await host.command(spec.nodeId, order, [
      ['CONFIG', 'SET', 'key-load-delay', '2000', 'loading-process-events-interval-bytes', '1024'],
    ]);
    const origin = await startEngine('valkey', ['--repl-diskless-sync-delay', '0']);
    engines.push(origin);
    for (let index = 0; index < 2_000; index += 1) {
      await command(origin, ['SET', `key:${index}`, 'x'.repeat(200)]);
    }
    await host.command(spec.nodeId, order, [['REPLICAOF', origin.host, String(origin.port)]]);
    await waitFor(
      () => observe('loads.0001'),
      ({ engine }) => engine?.info.loading === true,
      { what: 'it to load', everyMs: 5 },
    );
    const blamed = await anyHang(async () => {
      await untilAnotherHangs('other.0001');
      await sleep(silenceLimitMs.idle);
    });
    expect(blamed.filter((each) => each.startsWith('loads'))).toEqual([]);
  });

  test('that our own process was busy', async () => {
    await start('quiet.0001');
    await start('other.0001');
    const blamed = await anyHang(async () => {
      const until = performance.now() + 1_500;
      while (performance.now() < until);
      await untilAnotherHangs('other.0001');
    });
    expect(blamed.filter((each) => each.startsWith('quiet'))).toEqual([]);
  });
});
