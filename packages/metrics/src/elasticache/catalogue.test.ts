import { expect, test } from 'vitest';
import { units } from '../metric.ts';
import { leftOut, namesByCluster, nodeMetrics } from './catalogue.ts';
import { derive } from './derive.ts';
import type { NodeFacts } from './look.ts';
import { countOn } from './node-count.ts';

const facts: NodeFacts = { engine: 'valkey', vcpus: 2, memoryBytes: 1_000, baselineBytesPerSecond: 100 };

function derived(
  before: Record<string, number> | undefined,
  now: Record<string, number>,
  change: Partial<NodeFacts> = {},
): Record<string, number> {
  const first =
    before === undefined ? undefined : countOn(undefined, { atMs: 0, run: 'r', watch: 'w', counts: before });
  const count = countOn(first, { atMs: 10_000, run: 'r', watch: 'w', counts: now });
  const values = derive({ before: first, count, facts: { ...facts, ...change } });
  return Object.fromEntries(values.map(({ metric, summary }) => [metric.name, summary.sum]));
}

test.each(['valkey', 'memcached'] as const)('%s: each name once, with a unit of CloudWatch', (engine) => {
  const names = nodeMetrics(engine).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { unit } of nodeMetrics(engine)) expect(units).toContain(unit);
  for (const name of leftOut.flatMap((each) => each.names)) expect(names).not.toContain(name);
});

test('a name is in both dimension sets for every engine, or for none', () => {
  for (const engine of ['valkey', 'memcached'] as const) {
    for (const { name, dimensions } of nodeMetrics(engine)) {
      expect([name, namesByCluster.has(name)]).toEqual([name, dimensions === 'both']);
    }
  }
});

test('at a first look what stands is known, and what rose is not', () => {
  const seen = derived(undefined, { keyspace_hits: 9, used_memory: 40, maxmemory: 80, is_primary: 1 });
  expect(seen).toMatchObject({ BytesUsedForCache: 40, DatabaseMemoryUsagePercentage: 50, IsMaster: 1 });
  for (const name of ['CacheHits', 'StringBasedCmds', 'CPUUtilization', 'NewConnections']) {
    expect(seen).not.toHaveProperty(name);
  }
});

test('shares are of the time that passed, of the vCPUs and of what may be used', () => {
  const before = {
    used_cpu_sys: 1,
    used_cpu_user: 1,
    used_cpu_sys_main_thread: 1,
    used_cpu_user_main_thread: 1,
  };
  const now = {
    used_cpu_sys: 2,
    used_cpu_user: 4,
    used_cpu_sys_main_thread: 2,
    used_cpu_user_main_thread: 3,
  };
  expect(derived(before, now)).toMatchObject({ CPUUtilization: 20, EngineCPUUtilization: 30 });
  const memory = {
    used_memory: 60,
    mem_not_counted_for_evict: 20,
    maxmemory: 80,
    process_resident_bytes: 100,
  };
  expect(derived(before, memory)).toMatchObject({
    DatabaseMemoryUsageCountedForEvictPercentage: 50,
    FreeableMemory: 900,
  });
});

test('a rate of nothing is no rate', () => {
  const none = { keyspace_hits: 5, keyspace_misses: 5 };
  expect(derived(none, none)).not.toHaveProperty('CacheHitRate');
  expect(derived(none, { keyspace_hits: 8, keyspace_misses: 6 })).toMatchObject({ CacheHitRate: 75 });
});

test('connections of the service, of replicas and to a primary are no clients', () => {
  const before = {
    total_connections_received: 10,
    own_connections_opened: 2,
    sync_full: 0,
    sync_partial_ok: 1,
  };
  const now = {
    ...{ total_connections_received: 20, own_connections_opened: 4, sync_full: 1, sync_partial_ok: 2 },
    ...{ connected_clients: 8, own_connections: 2, link_up: 1 },
  };
  expect(derived(before, now)).toMatchObject({ CurrConnections: 5, NewConnections: 6 });
});

test('a primary has no lag, and replicates nothing to nobody', () => {
  const before = { master_repl_offset: 100 };
  const now = { master_repl_offset: 500, is_primary: 1, connected_slaves: 0 };
  const lag = { replicationLagSeconds: 3 };
  expect(derived(before, now, lag)).toMatchObject({ ReplicationBytes: 0, MasterLinkHealthStatus: 1 });
  expect(derived(before, now, lag)).not.toHaveProperty('ReplicationLag');
  expect(derived(before, { ...now, connected_slaves: 1 })).toMatchObject({ ReplicationBytes: 400 });
  const replica = { ...now, is_primary: 0, link_up: 0 };
  expect(derived(before, replica, lag)).toMatchObject({ ReplicationLag: 3, MasterLinkHealthStatus: 0 });
  expect(derived(before, replica, lag)).not.toHaveProperty('ReplicationBytes');
});

test('engines before Redis 7.2 tell refusals by their replies', () => {
  const seen = derived({ errorstat_NOPERM: 1 }, { errorstat_NOPERM: 4 });
  expect(seen).toMatchObject({ CommandAuthorizationFailures: 3, AuthenticationFailures: 0 });
  expect(seen).not.toHaveProperty('KeyAuthorizationFailures');
  const newer = {
    acl_access_denied_cmd: 1,
    acl_access_denied_key: 0,
    acl_access_denied_auth: 0,
    errorstat_NOPERM: 9,
  };
  expect(derived(newer, { ...newer, acl_access_denied_key: 2, errorstat_NOPERM: 11 })).toMatchObject({
    CommandAuthorizationFailures: 0,
    KeyAuthorizationFailures: 2,
  });
});

test('latency: as many as were called, their sum by commandstats, spread by the histogram', () => {
  const before = { read_calls: 10, read_usec: 50, read_within_2: 10 };
  const now = { read_calls: 14, read_usec: 90, read_within_2: 13, read_within_16: 1 };
  const first = countOn(undefined, { atMs: 0, run: 'r', watch: 'w', counts: before });
  const count = countOn(first, { atMs: 1_000, run: 'r', watch: 'w', counts: now });
  const summary = derive({ before: first, count, facts }).find(
    ({ metric }) => metric.name === 'SuccessfulReadRequestLatency',
  )!.summary;
  expect(summary).toEqual({
    sampleCount: 4,
    sum: 40,
    minimum: 1.5,
    maximum: 12,
    values: [
      [1.5, 3],
      [12, 1],
    ],
  });
});
