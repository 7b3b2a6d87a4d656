/** What others do with the same faults, under the same writer. */
import { engineClusterStage } from './engine-cluster-stage.ts';
import { engineFailover, failoverStage } from './failover-stage.ts';
import { killed, stopped, thePrimary } from './process-faults.ts';
import { type Scenario, scenario } from './scenario.ts';
import { sentinelFailover, sentinelStage } from './sentinel-stage.ts';

/** Repetitions of what takes longer than ten seconds. */
const slowRuns = 3;
/** Each repetition on a stage of its own: after a failover Sentinel waits minutes before the next. */
const once = { peer: true, runsPerStage: 1 } as const;
const course = { endsWhole: false, limitMs: 90_000 };

export const peerScenarios: readonly Scenario[] = [
  ...[1_000, 30_000].map((downAfterMs) =>
    scenario({
      ...once,
      name: `sentinel-primary-killed-${downAfterMs}`,
      title: `Sentinel, down-after ${downAfterMs} ms: primary killed`,
      ...(downAfterMs > 5_000 && { mostRuns: slowRuns }),
      open: () => sentinelStage(downAfterMs),
      fault: killed(thePrimary),
      course,
    }),
  ),
  scenario({
    ...once,
    name: 'sentinel-primary-hung',
    title: 'Sentinel, down-after 1000 ms: primary hung (SIGSTOP, later SIGCONT)',
    mostRuns: slowRuns,
    open: () => sentinelStage(1_000),
    fault: stopped(thePrimary),
    // It lets the old primary go on for ten seconds before it makes it a replica.
    course: { ...course, lingerMs: 13_000 },
  }),
  scenario({
    ...once,
    name: 'sentinel-failover',
    title: 'SENTINEL FAILOVER, planned',
    mostRuns: slowRuns,
    open: () => sentinelStage(1_000),
    fault: sentinelFailover,
    course: { ...course, lingerMs: 13_000 },
  }),
  scenario({
    ...once,
    name: 'engine-failover',
    title: 'FAILOVER of the engine, planned, endpoint moved at once',
    open: failoverStage,
    fault: engineFailover,
    course,
  }),
  ...[1_000, 15_000].flatMap((nodeTimeoutMs) =>
    (['ioredis', 'node-redis'] as const).map((client) =>
      scenario({
        ...once,
        name: `engine-cluster-primary-killed-${nodeTimeoutMs}-${client}`,
        title: `engine's cluster, node-timeout ${nodeTimeoutMs} ms: primary of 1 of 3 shards killed, ${client}`,
        ...(nodeTimeoutMs > 5_000 && { mostRuns: slowRuns }),
        open: () => engineClusterStage({ nodeTimeoutMs, client: `${client}-cluster` }),
        fault: killed(thePrimary),
        course: { ...course, writesPerSecond: 750 },
      }),
    ),
  ),
];
