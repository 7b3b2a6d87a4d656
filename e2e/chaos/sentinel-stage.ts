/** The peer: a primary with two replicas, watched by three real Sentinels. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineStore } from '@larder/engine/store/engine-store';
import { ask } from '../../testing/ask-engine.ts';
import type { Place } from '../../testing/cache-client.ts';
import { directories, searchPath } from '../../testing/config.ts';
import { freshAddress, startEngine, type TestEngine } from '../../testing/engine.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { shardsWhole } from './node-look.ts';
import type { Fault, Stage } from './stage.ts';
import { nothingToUndo } from './stage.ts';

export interface SentinelStage extends Stage {
  readonly sentinels: readonly Place[];
}

const masterName = 'chaos';
const quorum = 2;
const sentinelPort = 26_379;
const replicas = 2;
const wholeLimitMs = 60_000;

/** @param downAfterMs when a Sentinel takes a node for dead; 30,000 is its default */
export async function sentinelStage(downAfterMs: number): Promise<SentinelStage> {
  const engines: TestEngine[] = [];
  const sentinels: Sentinel[] = [];
  const close = async () => {
    for (const each of [...sentinels, ...engines]) await each.stop();
  };
  try {
    await startReplicated(engines, replicas);
    for (let index = 0; index < 3; index += 1) sentinels.push(await startSentinel(engines[0]!, downAfterMs));
    const nodes = nodesOf(engines);
    const stage = { nodes, tags: ['b'] };
    const places = sentinels.map(({ place }) => place);
    return {
      ...stage,
      client: { kind: 'ioredis-sentinel', sentinels: places, name: masterName },
      sentinels: places,
      async whole() {
        await shardsWhole(stage, wholeLimitMs);
        await waitFor(
          () => Promise.all(places.map(knowsOthers)),
          (all) => all.every(Boolean),
          { what: 'the Sentinels to know each other and the replicas' },
        );
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The first is the primary. */
export async function startReplicated(engines: TestEngine[], count: number): Promise<void> {
  const common = ['--repl-diskless-sync-delay', '0', '--enable-debug-command', 'local'];
  const primary = await startEngine('valkey', common);
  engines.push(primary);
  for (let index = 0; index < count; index += 1) {
    engines.push(await startEngine('valkey', [...common, '--replicaof', primary.host, String(primary.port)]));
  }
}

export function nodesOf(engines: readonly TestEngine[]): Stage['nodes'] {
  return engines.map((engine, index) => ({
    name: `node-${index + 1}`,
    shard: 0,
    host: engine.host,
    port: engine.port,
    pid: () => engine.pid,
  }));
}

interface Sentinel {
  readonly place: Place;
  stop(): Promise<void>;
}

async function startSentinel(primary: Place, downAfterMs: number): Promise<Sentinel> {
  const build = await engineStore({ directory: join(directories.cache, 'engines'), searchPath }).find(
    'valkey',
  );
  if (build === undefined) throw new Error('No Valkey here; npm run setup installs it.');
  const folder = await mkdtemp(join(tmpdir(), 'larder-sentinel-'));
  const place = { host: freshAddress(), port: sentinelPort };
  const file = join(folder, 'sentinel.conf');
  await writeFile(
    file,
    [
      `port ${place.port}`,
      `bind ${place.host}`,
      `dir ${folder}`,
      `sentinel announce-ip ${place.host}`,
      `sentinel monitor ${masterName} ${primary.host} ${primary.port} ${quorum}`,
      `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
      '',
    ].join('\n'),
  );
  const child: ChildProcess = spawn(build.command.file, [...build.command.args, file, '--sentinel'], {
    stdio: 'ignore',
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const sentinel = {
    place,
    async stop() {
      child.kill('SIGKILL');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await waitFor(
      () => ask(place, ['PING']),
      (answer) => answer === 'PONG',
      { what: 'a Sentinel to answer' },
    );
  } catch (error) {
    await sentinel.stop();
    throw error;
  }
  return sentinel;
}

async function knowsOthers(place: Place): Promise<boolean> {
  const flat = (await ask(place, ['SENTINEL', 'MASTER', masterName])) as string[];
  const field = (name: string) => Number(flat[flat.indexOf(name) + 1]);
  return field('num-slaves') === replicas && field('num-other-sentinels') === 2;
}

/** Its own command for a planned switchover. */
export const sentinelFailover: Fault<SentinelStage> = {
  async inject({ sentinels }) {
    await ask(sentinels[0]!, ['SENTINEL', 'FAILOVER', masterName]);
    return nothingToUndo;
  },
};
