/** What collecting from many nodes takes: of the service's processor, and of the engines'. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createGroup, groupAvailable } from '../../testing/elasticache-requests.ts';
import { startLarder } from '../../testing/larder.ts';
import { type JudgedBar, judge } from '../bar.ts';
import { progress } from '../run-report.ts';
import { startWorker } from '../worker-process.ts';
import type { Used } from './collector-worker.ts';

const collectorLimitPercent = 5;
const engineLimitPercent = 1;
/** Of one group: the fewer groups, the sooner they are there. */
const shards = 5;
const warmUpMs = 5_000;

export interface CollectingOptions {
  readonly nodes: number;
  /** With and without collecting. */
  readonly phaseMs: number;
}

export async function measureCollecting({ nodes, phaseMs }: CollectingOptions): Promise<JudgedBar[]> {
  const larder = await startLarder();
  try {
    for (let index = 0; index < nodes / (2 * shards); index += 1) {
      const id = `watched-${index}`;
      await createGroup(larder, id, { NumNodeGroups: shards, ReplicasPerNodeGroup: 1 });
      await groupAvailable(larder, id);
    }
    const running = larder.processes().length;
    if (running !== nodes) throw new Error(`${running} nodes run; ${nodes} were asked for.`);
    // Engines run on; a process that does nothing but watch and collect takes its place.
    await larder.kill();
    const worker = await startWorker({
      file: 'bench/watch/collector-worker.js',
      start: { dataDirectory: larder.dataDirectory },
    });
    async function phase(): Promise<{ readonly before: Used; readonly after: Used }> {
      await sleep(warmUpMs);
      const before = await worker.call<Used>('used');
      await sleep(phaseMs);
      return { before, after: await worker.call<Used>('used') };
    }
    progress(`${nodes} nodes watched and not collected from`);
    const without = await phase();
    progress(`${nodes} nodes collected from`);
    await worker.call('begin');
    const collecting = await phase();
    await worker.call('end');
    await worker.kill();
    const added = rate(collecting, ({ cpuMs }) => cpuMs) - rate(without, ({ cpuMs }) => cpuMs);
    const ofEngine = (nodeId: string) =>
      rate(collecting, (used) => used.nodes[nodeId]!) - rate(without, (used) => used.nodes[nodeId]!);
    const engines = Object.keys(collecting.after.nodes).map(ofEngine);
    progress(
      `watching alone takes ${rate(without, ({ cpuMs }) => cpuMs).toFixed(2)} % of a core; ${Math.round(
        (collecting.after.residentBytes - without.after.residentBytes) / 2 ** 20,
      )} MiB more when collecting`,
    );
    return [
      judge({
        name: `collecting from ${nodes} nodes every second, of one core`,
        better: 'lower',
        limit: collectorLimitPercent,
        unit: '%',
        values: [added],
      }),
      judge({
        name: `added to an idle engine's main thread, of one core, mean of ${nodes}`,
        better: 'lower',
        limit: engineLimitPercent,
        unit: '%',
        values: [engines.reduce((sum, each) => sum + each, 0) / engines.length],
      }),
    ];
  } finally {
    await larder.remove();
  }
}

/** In percent of one core. */
function rate(
  { before, after }: { readonly before: Used; readonly after: Used },
  of: (used: Used) => number,
): number {
  return ((of(after) - of(before)) / (after.atMs - before.atMs)) * 100;
}
