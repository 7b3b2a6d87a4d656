/** Faults of the way between a client and its endpoint. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, faultProxy } from './fault-proxy.ts';
import { type LarderStage, larderStage } from './larder-stage.ts';
import type { Fault } from './stage.ts';

export interface LinkStage extends LarderStage {
  readonly proxy: FaultProxy;
}

/** The clients come by a proxy; those who hold on to a node don't. */
export async function linkStage(): Promise<LinkStage> {
  const stage = await larderStage({ replicas: 2 });
  const proxy = await faultProxy(stage.endpoint);
  return {
    ...stage,
    proxy,
    client: { kind: 'ioredis', place: proxy.place },
    async close() {
      await proxy.close();
      await stage.close();
    },
  };
}

/** Nothing arrives and nobody hears of it; then the connections are reset, as a network does that finds itself again. */
export function blackhole(forMs: number): Fault<LinkStage> {
  return {
    async inject({ proxy }) {
      proxy.set({ kind: 'blackhole' });
      const heal = () => {
        proxy.set({ kind: 'open' });
        proxy.drop();
      };
      await sleep(forMs);
      heal();
      return { undo: async () => heal() };
    },
  };
}
