/** The peer of a planned switchover: the engine's FAILOVER, with an endpoint that follows the primary at once. */
import { ask } from '../../testing/ask-engine.ts';
import type { TestEngine } from '../../testing/engine.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { type FaultProxy, faultProxy } from './fault-proxy.ts';
import { primaryOf, shardsWhole } from './node-look.ts';
import { nodesOf, startReplicated } from './sentinel-stage.ts';
import { type Fault, nothingToUndo, type Stage } from './stage.ts';

export interface FailoverStage extends Stage {
  readonly proxy: FaultProxy;
}

export async function failoverStage(): Promise<FailoverStage> {
  const engines: TestEngine[] = [];
  let proxy: FaultProxy | undefined;
  const close = async () => {
    await proxy?.close();
    for (const engine of engines) await engine.stop();
  };
  try {
    await startReplicated(engines, 2);
    proxy = await faultProxy(engines[0]!);
    const stage = { nodes: nodesOf(engines), tags: ['b'] };
    return {
      ...stage,
      proxy,
      client: { kind: 'ioredis', place: proxy.place },
      whole: () => shardsWhole(stage, 60_000),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export const engineFailover: Fault<FailoverStage> = {
  async inject({ nodes, proxy }, primary) {
    const heir = nodes.find(({ name }) => name !== primary.name)!;
    await ask(primary, ['FAILOVER', 'TO', heir.host, String(heir.port), 'TIMEOUT', '10000']);
    await waitFor(
      () => primaryOf({ nodes }),
      ({ name }) => name === heir.name,
      { what: 'FAILOVER to end', everyMs: 2 },
    );
    proxy.retarget(heir);
    return nothingToUndo;
  },
};
