/** The peer of cluster mode: the same shards, healed by the engines' own vote alone. */

import type { ClientPlan } from '../../testing/cache-client.ts';
import { startEngine, type TestEngine } from '../../testing/engine.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { shardTags } from './larder-stage.ts';
import { ask, shardsWhole } from './node-look.ts';
import type { Stage, StageNode } from './stage.ts';

export interface EngineClusterOptions {
  /** When a node takes another for dead; 15,000 is its default. */
  readonly nodeTimeoutMs: number;
  readonly client: 'ioredis-cluster' | 'node-redis-cluster';
}

const busPort = 16_379;
const slots = 16_384;

/** Three shards with a replica each. */
export async function engineClusterStage({ nodeTimeoutMs, client }: EngineClusterOptions): Promise<Stage> {
  const engines: TestEngine[] = [];
  const close = async () => {
    for (const engine of engines) await engine.stop();
  };
  try {
    const shards = shardTags.length;
    const options = [
      ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
      ...['--cluster-node-timeout', String(nodeTimeoutMs), '--repl-diskless-sync-delay', '0'],
    ];
    for (let index = 0; index < 2 * shards; index += 1) engines.push(await startEngine('valkey', options));
    await form(engines, shards);
    const nodes = engines.map(
      (engine, index): StageNode => ({
        name: `node-${index + 1}`,
        shard: index % shards,
        host: engine.host,
        port: engine.port,
        pid: () => engine.pid,
      }),
    );
    const stage = { nodes, tags: [...shardTags] };
    const seeds = nodes.map(({ host, port }) => ({ host, port }));
    const plan: ClientPlan = { kind: client, seeds };
    return { ...stage, client: plan, whole: () => shardsWhole(stage, 60_000), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The first of them become primaries, one for each shard. */
async function form(engines: readonly TestEngine[], shards: number): Promise<void> {
  const [first, ...others] = engines;
  const share = Math.ceil(slots / shards);
  for (const [index, engine] of engines.slice(0, shards).entries()) {
    const last = Math.min(slots - 1, (index + 1) * share - 1);
    await ask(engine, ['CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last)]);
    await ask(engine, ['CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1)]);
  }
  for (const { host, port } of others) {
    await ask(first!, ['CLUSTER', 'MEET', host, String(port), String(busPort)]);
  }
  const everywhere = (text: string) =>
    waitFor(
      () => Promise.all(engines.map(async (engine) => String(await ask(engine, ['CLUSTER', 'INFO'])))),
      (all) => all.every((info) => info.includes(text)),
      { what: `every node to say ${text}` },
    );
  await everywhere(`cluster_known_nodes:${engines.length}`);
  for (const [index, engine] of engines.slice(shards).entries()) {
    const primaryId = String(await ask(engines[index]!, ['CLUSTER', 'MYID']));
    await waitFor(
      () => ask(engine, ['CLUSTER', 'REPLICATE', primaryId]),
      (answer) => answer === 'OK',
      { what: 'a replica to follow its primary' },
    );
  }
  await everywhere('cluster_state:ok');
}
