/** How often nodes were copied as a whole, for replicas that could not follow on from where they were. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestLarder } from './larder.ts';

/** By node that runs, as its log tells: what the engine counts itself ends with its process. */
export function wholeCopies({ dataDirectory, processes }: TestLarder): Map<string, number> {
  return new Map(
    processes().map(({ nodeId }) => {
      const log = readFileSync(join(dataDirectory, 'nodes', nodeId, 'engine.log'), 'utf8');
      return [nodeId, log.match(/Starting BGSAVE for SYNC/g)?.length ?? 0];
    }),
  );
}

/** Of nodes that run still or anew, since `before`. */
export function wholeCopiesSince(larder: TestLarder, before: ReadonlyMap<string, number>): number {
  return [...wholeCopies(larder)].reduce((sum, [node, count]) => sum + count - (before.get(node) ?? 0), 0);
}
