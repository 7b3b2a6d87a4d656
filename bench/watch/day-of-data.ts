/** A day of many nodes' minutes, through the real store, and what it takes on the disk. */
import { statSync } from 'node:fs';
import { metricKeeper } from '@larder/control/metric/metric-keeper';
import { type NodeWatch, watchOn } from '@larder/control/metric/node-watch';
import { type DerivedNode, metricNames, recordedOf } from '@larder/control/metric/recorded-metrics';
import { connectMetricFile } from '@larder/control/metric/tables';
import { type JudgedBar, judge } from '../bar.ts';
import { progress } from '../run-report.ts';
import { seededRandom } from '../seeded-random.ts';
import { busyNode } from './busy-nodes.ts';

const minuteMs = 60_000;
const minutesOfDay = 1_440;
const daysKept = 15;
const diskLimitMegabytes = 1_000;

export interface DayOptions {
  readonly file: string;
  readonly nodes: number;
  /** The day is over then. */
  readonly endMs: number;
  readonly seed: number;
}

export async function writeDay({ file, nodes, endMs, seed }: DayOptions): Promise<JudgedBar> {
  const random = seededRandom(seed);
  const busy = Array.from({ length: nodes }, (_, index) => busyNode(index, random));
  const names = metricNames();
  const watches = new Map<string, NodeWatch>();
  const database = connectMetricFile(file);
  let nowMs = endMs - minutesOfDay * minuteMs;
  const keeper = metricKeeper({ database, nowMs: () => nowMs });
  let points = 0;
  for (let minute = 0; minute <= minutesOfDay; minute += 1, nowMs += minuteMs) {
    const derived: DerivedNode[] = [];
    for (const { node, after } of busy) {
      const seen = watchOn(watches.get(node.nodeId), after(60, nowMs), node.facts, nowMs);
      watches.set(node.nodeId, seen.watch);
      if (seen.minute !== undefined) derived.push({ node, role: 'primary', values: seen.minute.values });
    }
    const recorded = recordedOf(names, derived, 'minute', nowMs - minuteMs);
    points += recorded.length;
    await keeper.record(recorded);
    await keeper.maintain();
    if (minute % 240 === 239) progress(`${(minute + 1) / 60} hours of ${nodes} nodes' minutes are written`);
  }
  // What waits goes into blocks as well; the clock goes on for as long as that takes.
  for (let waited = 0; waited < 40; waited += 1, nowMs += minuteMs) await keeper.maintain();
  await keeper.close();
  await database.destroy();
  const bytes = statSync(file).size;
  progress(
    `${points} data of ${Math.round(points / minutesOfDay)} metrics in ${(bytes / 1e6).toFixed(1)} MB: ${(bytes / points).toFixed(2)} bytes each`,
  );
  return judge({
    name: `${daysKept} days of ${nodes} nodes' 60 s data on disk, ${daysKept} times a day's with its rollups`,
    better: 'lower',
    limit: diskLimitMegabytes,
    unit: 'MB',
    values: [(bytes / 1e6) * daysKept],
  });
}
