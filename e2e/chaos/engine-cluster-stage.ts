/** The peer of cluster mode: the same shards, healed by the engines' own vote alone. */

import type { ClientPlan } from '../../testing/cache-client.ts';
import { startEngine, type TestEngine } from '../../testing/engine.ts';
import { clusterOptions, formCluster } from '../../testing/engine-cluster.ts';
import { shardTags } from './larder-stage.ts';
import { shardsWhole } from './node-look.ts';
import type { Stage, StageNode } from './stage.ts';

export interface EngineClusterOptions {
  /** When a node takes another for dead; 15,000 is its default. */
  readonly nodeTimeoutMs: number;
  readonly client: 'ioredis-cluster' | 'node-redis-cluster';
}

/** Three shards with a replica each. */
export async function engineClusterStage({ nodeTimeoutMs, client }: EngineClusterOptions): Promise<Stage> {
  const engines: TestEngine[] = [];
  const close = async () => {
    for (const engine of engines) await engine.stop();
  };
  try {
    const shards = shardTags.length;
    const options = [
      ...clusterOptions,
      ...['--cluster-node-timeout', String(nodeTimeoutMs), '--repl-diskless-sync-delay', '0'],
    ];
    for (let index = 0; index < 2 * shards; index += 1) engines.push(await startEngine('valkey', options));
    await formCluster(engines, shards);
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
