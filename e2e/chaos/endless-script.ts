/** A customer's script that never ends: the engine lives and answers nobody. */

import { Redis } from 'ioredis';
import { ask } from '../../testing/ask-engine.ts';
import type { LarderStage } from './larder-stage.ts';
import type { Fault } from './stage.ts';

export const endlessScript: Fault<LarderStage> = {
  async inject({ endpoint, nodes }) {
    const client = new Redis({ ...endpoint, retryStrategy: () => null });
    client.on('error', () => {});
    await client.ping();
    client.eval('while true do end', 0).catch(() => {});
    return {
      async undo() {
        client.disconnect();
        // Who was not killed for it may still run it.
        await Promise.all(nodes.map((node) => ask(node, ['SCRIPT', 'KILL'], 500).catch(() => {})));
      },
    };
  },
};
