/** What is broken, and what must come of it. */

import { endlessScript } from './endless-script.ts';
import { fill } from './fill.ts';
import { fleetStage } from './fleet-stage.ts';
import { agentKilled, agentStopped, controllersGone, hostIsolated, hostLost } from './host-faults.ts';
import { larderStage } from './larder-stage.ts';
import { blackhole, linkStage } from './link-faults.ts';
import { diskFull, smallDiskStage, starvedAndPrimaryKilled } from './machine-faults.ts';
import {
  crashLoop,
  killed,
  oneReplica,
  primaryAndReplica,
  shardKilled,
  stopped,
  thePrimary,
} from './process-faults.ts';
import { type Limit, type Scenario, scenario } from './scenario.ts';
import {
  promotion,
  serviceAndPrimaryKilled,
  serviceGonePrimaryKilled,
  serviceKilled,
  testFailover,
} from './service-faults.ts';

export const emptyName = 'primary-killed';
export const filledName = 'primary-killed-2gb';
const filledBytes = 2 * 1024 ** 3;
/** TestFailover's quota is 15 in a day; each service has its own. */
const testFailoversPerStage = 10;

const replicated = () => larderStage({ replicas: 2 });
const nothingLost: readonly Limit[] = [
  { figure: 'lost', of: 'max', atMost: 0 },
  { figure: 'zombies', of: 'max', atMost: 0 },
  { figure: 'splitBrainMs', of: 'max', atMost: 0 },
];
const gapWithin = (atMost: number): Limit => ({ figure: 'gapMs', of: 'p95', atMost });
const latencyWithin = (atMost: number): Limit => ({ figure: 'worstLatencyMs', of: 'max', atMost });
/** Nobody is to take over, and nobody is to notice. */
const undisturbed = { expectsSuccessor: false, leastMs: 1_000 };
const threeShards = { writesPerSecond: 750 };
/** Host by host as the controllers see it: a lease of 3 s, and what follows. */
const hostFaults = { limitMs: 60_000, lingerMs: 1_500 };
const onHosts = () => fleetStage({ replicas: 2 });
const afterLease: readonly Limit[] = [
  gapWithin(4_500),
  { figure: 'zombies', of: 'max', atMost: 0 },
  { figure: 'splitBrainMs', of: 'max', atMost: 0 },
];

export const scenarios: readonly Scenario[] = [
  scenario({
    name: emptyName,
    title: 'primary killed',
    open: replicated,
    fault: killed(thePrimary),
    limits: [gapWithin(100), ...nothingLost],
  }),
  ...(['ioredis', 'node-redis'] as const).map((client) =>
    scenario({
      name: `shard-primary-killed-${client}`,
      title: `primary of 1 of 3 shards killed, ${client}`,
      open: () => larderStage({ shards: 3, replicas: 1, clusterClient: `${client}-cluster` }),
      fault: killed(thePrimary),
      course: threeShards,
      limits: [gapWithin(250), { figure: 'otherShardsGapMs', of: 'p95', atMost: 50 }, ...nothingLost],
    }),
  ),
  scenario({
    name: filledName,
    title: 'primary killed with 2 GB in memory',
    open: async () => {
      const stage = await larderStage({ replicas: 2, nodeType: 'cache.m6g.large' });
      try {
        await fill(stage.endpoint, filledBytes);
        return stage;
      } catch (error) {
        await stage.close();
        throw error;
      }
    },
    fault: killed(thePrimary),
    course: { limitMs: 60_000 },
    limits: nothingLost,
  }),
  scenario({
    name: 'primary-terminated',
    title: 'primary ended by SIGTERM',
    open: replicated,
    fault: killed(thePrimary, 'SIGTERM'),
    // It waits for its replicas to say that they have everything, which they do once a second.
    limits: nothingLost,
  }),
  scenario({
    name: 'primary-hung',
    title: 'primary hung (SIGSTOP, later SIGCONT)',
    open: replicated,
    fault: stopped(thePrimary),
    course: { lingerMs: 1_500 },
    limits: [gapWithin(1_000), ...nothingLost],
  }),
  scenario({
    name: 'endless-script',
    title: "primary hung by a customer's endless script",
    mostRuns: 3,
    open: replicated,
    fault: endlessScript,
    // Scripts may take their time: after half a minute the script is killed, not the engine.
    course: { expectsSuccessor: false, limitMs: 90_000 },
    limits: [gapWithin(60_000), ...nothingLost],
  }),
  scenario({
    name: 'test-failover',
    title: 'planned switchover by TestFailover',
    runsPerStage: testFailoversPerStage,
    open: replicated,
    fault: testFailover,
    limits: [latencyWithin(50), ...nothingLost],
  }),
  scenario({
    name: 'promotion',
    title: 'planned switchover by ModifyReplicationGroup',
    open: () => larderStage({ replicas: 2, automaticFailover: false }),
    fault: promotion,
    limits: [latencyWithin(50), ...nothingLost],
  }),
  scenario({
    name: 'service-and-primary-killed',
    title: 'service and primary killed together, service restarted',
    open: replicated,
    fault: serviceAndPrimaryKilled,
    limits: [gapWithin(5_000), ...nothingLost],
  }),
  scenario({
    name: 'service-gone-shard-primary-killed',
    title: 'service gone, primary of 1 of 3 shards killed',
    open: () => larderStage({ shards: 3, replicas: 1 }),
    fault: serviceGonePrimaryKilled,
    course: { ...threeShards, limitMs: 60_000 },
    limits: nothingLost,
  }),
  scenario({
    name: 'service-killed',
    title: 'service killed, engines alive',
    open: replicated,
    fault: serviceKilled,
    course: undisturbed,
    limits: [gapWithin(100), ...nothingLost],
  }),
  scenario({
    name: 'replica-killed',
    title: 'replica killed',
    open: replicated,
    fault: killed(oneReplica),
    course: undisturbed,
    limits: [gapWithin(100), ...nothingLost],
  }),
  scenario({
    name: 'replica-crash-loop',
    title: 'replica that dies again and again for 5 s',
    mostRuns: 3,
    runsPerStage: 1,
    open: replicated,
    fault: crashLoop(oneReplica, 5_000),
    course: { ...undisturbed, limitMs: 60_000 },
    limits: [gapWithin(100), ...nothingLost],
  }),
  scenario({
    name: 'primary-and-replica-killed',
    title: 'primary and one of two replicas killed',
    open: replicated,
    fault: killed(primaryAndReplica),
    limits: [gapWithin(100), ...nothingLost],
  }),
  scenario({
    name: 'whole-group-killed',
    title: 'all three nodes killed at once (their data is gone)',
    open: replicated,
    fault: shardKilled(),
    course: { expectsSuccessor: false },
    limits: [{ figure: 'splitBrainMs', of: 'max', atMost: 0 }],
  }),
  scenario({
    name: 'starved-primary-killed',
    title: 'primary killed on a starved machine',
    open: replicated,
    fault: starvedAndPrimaryKilled,
    limits: nothingLost,
  }),
  scenario({
    name: 'disk-full',
    title: 'disk full for a second',
    needsRoot: true,
    open: () => smallDiskStage(),
    fault: diskFull(false),
    course: undisturbed,
    limits: [gapWithin(100), ...nothingLost],
  }),
  ...(
    [
      ['host-lost', "primary's host lost (cable out), 3 hosts", hostLost],
      ['host-isolated', "primary's host cut off from controllers alone", hostIsolated],
      ['agent-killed', "agent of the primary's host killed for good", agentKilled],
      ['agent-stopped', "agent of the primary's host stopped", agentStopped],
    ] as const
  ).map(([name, title, fault]) =>
    scenario({ name, title, needsRoot: true, open: onHosts, fault, course: hostFaults, limits: afterLease }),
  ),
  scenario({
    name: 'primary-killed-on-hosts',
    title: 'primary killed, 3 hosts',
    needsRoot: true,
    open: onHosts,
    fault: killed(thePrimary),
    // A neighbour that learned of an address believes no other host for a second; else as on one machine.
    limits: [gapWithin(1_000), ...nothingLost],
  }),
  scenario({
    name: 'shard-host-lost',
    title: 'host lost, 3 shards × 1 replica on 3 hosts',
    needsRoot: true,
    open: () => fleetStage({ shards: 3, replicas: 1 }),
    fault: hostLost,
    course: { ...hostFaults, ...threeShards },
    limits: afterLease,
  }),
  scenario({
    name: 'controllers-gone',
    title: 'all controllers gone for 6 s, hosts alive',
    needsRoot: true,
    open: onHosts,
    fault: controllersGone,
    course: { ...undisturbed, leastMs: 6_000 },
    limits: [gapWithin(250), ...nothingLost],
  }),
  scenario({
    name: 'client-blackhole',
    title: "client's link silent for 1 s, then reset",
    open: linkStage,
    fault: blackhole(1_000),
    course: { ...undisturbed, leastMs: 1_500 },
    limits: [gapWithin(1_500), ...nothingLost],
  }),
];
