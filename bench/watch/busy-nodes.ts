/** Nodes that are under a load which never rests, made up: what they would count, reading by reading. */
import type { CollectedNode } from '@larder/control/metric/collected-nodes';
import type { CountedReading } from '@larder/metrics/elasticache/node-count';

type Random = () => number;

/** Of a second, on average: what a busy cache does. */
const perSecond: Readonly<Record<string, number>> = {
  total_connections_received: 3,
  total_commands_processed: 9_000,
  total_error_replies: 0.5,
  total_net_input_bytes: 900_000,
  total_net_output_bytes: 4_000_000,
  total_reads_processed: 8_000,
  total_writes_processed: 8_000,
  evicted_keys: 20,
  expired_keys: 35,
  expired_fields: 0,
  keyspace_hits: 6_000,
  keyspace_misses: 700,
  active_defrag_hits: 0,
  acl_access_denied_auth: 0,
  acl_access_denied_cmd: 0,
  acl_access_denied_key: 0,
  acl_access_denied_channel: 0,
  acl_access_denied_db: 0,
  rejected_connections: 0,
  sync_full: 0,
  sync_partial_ok: 0,
  used_cpu_sys: 0.08,
  used_cpu_user: 0.2,
  used_cpu_sys_main_thread: 0.07,
  used_cpu_user_main_thread: 0.19,
  process_major_faults: 0.01,
  master_repl_offset: 500_000,
  own_connections_opened: 0,
  read_within_1: 3_000,
  read_within_2: 2_500,
  read_within_4: 900,
  read_within_8: 200,
  read_within_16: 30,
  read_within_33: 4,
  write_within_2: 1_500,
  write_within_4: 800,
  write_within_8: 90,
  write_within_16: 9,
};

/** Families in use, of 9,000 commands. */
const calls: Readonly<Record<string, number>> = {
  string: 6_000,
  hash: 1_500,
  'sorted-set': 400,
  key: 600,
  list: 100,
  eval: 50,
  pubsub: 20,
  read: 6_700,
  write: 2_300,
  keyless: 30,
  cluster: 1,
};

/** Where they stand, and how far they move in a minute. */
const standing: Readonly<Record<string, readonly [at: number, step: number]>> = {
  connected_clients: [240, 5],
  blocked_clients: [2, 1],
  tracking_total_keys: [0, 0],
  used_memory: [310e6, 1e6],
  used_memory_dataset: [280e6, 1e6],
  maxmemory: [402_653_184, 0],
  mem_not_counted_for_evict: [1.2e6, 3e4],
  mem_fragmentation_ratio: [1.12, 0.01],
  allocator_frag_bytes: [14e6, 1e5],
  allocator_frag_ratio: [1.05, 0.01],
  rdb_bgsave_in_progress: [0, 0],
  pubsub_channels: [4, 0],
  pubsubshard_channels: [0, 0],
  connected_slaves: [1, 0],
  keys: [410_000, 800],
  expires: [350_000, 700],
  keys_with_volatile_items: [0, 0],
  db0_average_ttl_ms: [3_600_000, 20_000],
  is_primary: [1, 0],
  process_resident_bytes: [350e6, 2e5],
  process_swap_bytes: [0, 0],
  own_connections: [2, 0],
};

const counters: readonly (readonly [string, number])[] = [
  ...Object.entries(perSecond),
  ...Object.entries(calls).flatMap(([family, count]) => [
    [`${family}_calls`, count] as const,
    [`${family}_usec`, count * 3.1] as const,
  ]),
];

export interface BusyNode {
  readonly node: CollectedNode;
  /** What it counts after that time. */
  after(seconds: number, atMs: number): CountedReading;
}

export function busyNode(index: number, random: Random): BusyNode {
  const counts: Record<string, number> = {};
  for (const [name] of counters) counts[name] = 0;
  for (const [name, [at]] of Object.entries(standing)) counts[name] = at;
  return {
    node: {
      nodeId: `busy-${index}.0001`,
      clusterId: `busy-${index}`,
      cacheNodeId: '0001',
      shard: { groupId: `busy-group-${Math.floor(index / 10)}`, nodeGroupId: `000${index % 5}` },
      serves: true,
      facts: { engine: 'valkey', vcpus: 2, memoryBytes: 536_870_912, baselineBytesPerSecond: 8e6 },
    },
    after(seconds, atMs) {
      for (const [name, rate] of counters) {
        // A third up or down, as traffic goes.
        const rose = rate * seconds * (0.67 + random() * 0.66);
        counts[name]! += name.startsWith('used_cpu') ? Math.round(rose * 1e6) / 1e6 : Math.round(rose);
      }
      for (const [name, [, step]] of Object.entries(standing)) {
        const moved = counts[name]! + (random() - 0.5) * 2 * step;
        counts[name] = name.endsWith('ratio')
          ? Math.round(moved * 100) / 100
          : Math.round(Math.max(0, moved));
      }
      return { atMs, run: 'r', watch: 'w', counts: { ...counts } };
    },
  };
}
