/** Engines of our own that form a cluster by themselves: the peer of cluster mode. */

import type { EngineName } from '@larder/engine/engine';
import { slotCount } from '@larder/engine/slots';
import { ask } from './ask-engine.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { waitFor } from './wait-for.ts';

const busPort = 16_379;
export const clusterOptions = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)] as const;

export interface TestCluster {
  readonly nodes: readonly TestEngine[];
  stop(): Promise<void>;
}

/** A cluster of `primaries` nodes without replicas, slots spread evenly, ready to serve. */
export async function startCluster(
  primaries = 3,
  { engine = 'valkey', version }: { readonly engine?: EngineName; readonly version?: string } = {},
): Promise<TestCluster> {
  const nodes = await Promise.all(
    Array.from({ length: primaries }, () => startEngine(engine, clusterOptions, version)),
  );
  await formCluster(nodes, primaries);
  return {
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** The first of them become primaries, one for each shard; the others follow them in turn. Resolves when the cluster is whole. */
export async function formCluster(engines: readonly TestEngine[], shards: number): Promise<void> {
  const [first, ...others] = engines;
  const share = Math.ceil(slotCount / shards);
  for (const [index, engine] of engines.slice(0, shards).entries()) {
    const last = Math.min(slotCount - 1, (index + 1) * share - 1);
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
