/** (pure) The metrics of Valkey and Redis, apart from those of families of commands. */
import { latencyPrefix } from '@larder/engine/counters/engine-counts';
import type { Summary, ValueCount } from '../summary.ts';
import type { Look } from './look.ts';
import { difference, metric, type NodeMetric, percent, rose, rounded, stands, sum } from './node-metric.ts';

const memoryShare = ({ now }: Look) => percent(now('used_memory'), now('maxmemory'));
const countedShare = ({ now }: Look) =>
  percent(difference(now('used_memory'), now('mem_not_counted_for_evict')), now('maxmemory'));
const counted = 'used_memory less mem_not_counted_for_evict, of maxmemory';

export const engineMetrics: readonly NodeMetric[] = [
  metric('both', 'None', 'ActiveDefragHits', 'active_defrag_hits', rose('active_defrag_hits')),
  metric(
    'pair',
    'Bytes',
    'AllocatorFragmentationBytes',
    'allocator_frag_bytes',
    stands('allocator_frag_bytes'),
  ),
  metric(
    'pair',
    'None',
    'AllocatorFragmentationRatio',
    'allocator_frag_ratio',
    stands('allocator_frag_ratio'),
  ),
  metric(
    'both',
    'Count',
    'AuthenticationFailures',
    'acl_access_denied_auth; before Redis 7.2 replies of WRONGPASS',
    ({ now, rise, riseFromZero }) =>
      now('acl_access_denied_auth') === undefined
        ? riseFromZero('errorstat_WRONGPASS')
        : rise('acl_access_denied_auth'),
  ),
  metric(
    'both',
    'Count',
    'CommandAuthorizationFailures',
    'acl_access_denied_cmd; before Redis 7.2 replies of NOPERM, which are those of keys and channels too',
    ({ now, rise, riseFromZero }) =>
      now('acl_access_denied_cmd') === undefined
        ? riseFromZero('errorstat_NOPERM')
        : rise('acl_access_denied_cmd'),
  ),
  metric('both', 'Count', 'KeyAuthorizationFailures', 'acl_access_denied_key', rose('acl_access_denied_key')),
  metric(
    'pair',
    'Count',
    'ChannelAuthorizationFailures',
    'acl_access_denied_channel',
    rose('acl_access_denied_channel'),
  ),
  metric(
    'pair',
    'Count',
    'DatabaseAuthorizationFailures',
    'acl_access_denied_db',
    rose('acl_access_denied_db'),
  ),
  metric('pair', 'Count', 'BlockedConnections', 'blocked_clients', stands('blocked_clients')),
  metric('both', 'Bytes', 'BytesUsedForCache', 'used_memory', stands('used_memory')),
  metric('both', 'Count', 'CacheHits', 'keyspace_hits', rose('keyspace_hits')),
  metric('both', 'Count', 'CacheMisses', 'keyspace_misses', rose('keyspace_misses')),
  metric('both', 'Percent', 'CacheHitRate', 'keyspace_hits, of it and keyspace_misses', ({ rise }) =>
    percent(rise('keyspace_hits'), sum(rise('keyspace_hits'), rise('keyspace_misses'))),
  ),
  metric(
    'both',
    'Count',
    'CurrConnections',
    "connected_clients, without the service's and the link to the primary",
    ({ now }) => difference(now('connected_clients'), now('own_connections'), now('link_up')),
  ),
  metric(
    'both',
    'Count',
    'NewConnections',
    "total_connections_received, without the service's and replicas'",
    ({ rise }) =>
      difference(
        rise('total_connections_received'),
        rise('own_connections_opened'),
        rise('sync_full'),
        rise('sync_partial_ok'),
      ),
  ),
  metric('pair', 'Count', 'RejectedConnections', 'rejected_connections', rose('rejected_connections')),
  metric('both', 'Count', 'CurrItems', 'keys of all databases', stands('keys')),
  metric('pair', 'Count', 'CurrVolatileItems', 'expires of all databases', stands('expires')),
  metric(
    'pair',
    'Count',
    'CurrItemsWithVolatileFields',
    'keys_with_volatile_items of all databases (Valkey 9.0)',
    ({ now }) => now('keys_with_volatile_items') ?? (now('expired_fields') === undefined ? undefined : 0),
  ),
  metric('pair', 'Count', 'ReclaimedFields', 'expired_fields (Valkey 9.0)', rose('expired_fields')),
  metric('both', 'Percent', 'DatabaseMemoryUsagePercentage', 'used_memory, of maxmemory', memoryShare),
  metric('both', 'Percent', 'DatabaseMemoryUsageCountedForEvictPercentage', counted, countedShare),
  metric(
    'pair',
    'Percent',
    'DatabaseCapacityUsagePercentage',
    'used_memory, of maxmemory: there is no other tier',
    memoryShare,
  ),
  metric('pair', 'Percent', 'DatabaseCapacityUsageCountedForEvictPercentage', counted, countedShare),
  metric(
    'both',
    'Milliseconds',
    'DB0AverageTTL',
    'avg_ttl of db0',
    ({ now }) => now('db0_average_ttl_ms') ?? 0,
  ),
  metric(
    'both',
    'Percent',
    'EngineCPUUtilization',
    'used_cpu_sys_main_thread + used_cpu_user_main_thread, of one core',
    ({ rise, seconds }) =>
      percent(sum(rise('used_cpu_sys_main_thread'), rise('used_cpu_user_main_thread')), seconds),
  ),
  metric('pair', 'Count', 'ErrorCount', 'total_error_replies', rose('total_error_replies')),
  metric('both', 'Count', 'Evictions', 'evicted_keys', rose('evicted_keys')),
  metric('both', 'Count', 'Reclaimed', 'expired_keys', rose('expired_keys')),
  metric('both', 'Count', 'IsMaster', 'role', stands('is_primary')),
  metric('both', 'Count', 'KeysTracked', 'tracking_total_keys', stands('tracking_total_keys')),
  metric('both', 'Count', 'MasterLinkHealthStatus', 'master_link_status; 1 of a primary', ({ now }) =>
    now('is_primary') === 1 ? 1 : now('link_up'),
  ),
  metric(
    'both',
    'None',
    'MemoryFragmentationRatio',
    'mem_fragmentation_ratio',
    stands('mem_fragmentation_ratio'),
  ),
  metric('pair', 'Count', 'ProcessedCommands', 'total_commands_processed', rose('total_commands_processed')),
  metric('pair', 'Count', 'PubSubChannels', 'pubsub_channels', stands('pubsub_channels')),
  metric('pair', 'Count', 'PubSubShardChannels', 'pubsubshard_channels', stands('pubsubshard_channels')),
  metric(
    'both',
    'Bytes',
    'ReplicationBytes',
    'master_repl_offset of a primary with replicas',
    ({ now, rise }) =>
      now('is_primary') !== 1 ? undefined : now('connected_slaves') === 0 ? 0 : rise('master_repl_offset'),
  ),
  metric(
    'both',
    'Seconds',
    'ReplicationLag',
    "of a replica: since its primary's master_repl_offset was what its own is",
    ({ now, facts }) =>
      now('is_primary') === 1 || facts.replicationLagSeconds === undefined
        ? undefined
        : rounded(facts.replicationLagSeconds),
  ),
  metric('both', 'Count', 'SaveInProgress', 'rdb_bgsave_in_progress', stands('rdb_bgsave_in_progress')),
  metric(
    'pair',
    'Microseconds',
    'SuccessfulReadRequestLatency',
    'LATENCY HISTOGRAM of reading commands',
    (look) => latency(look, 'read'),
  ),
  metric(
    'pair',
    'Microseconds',
    'SuccessfulWriteRequestLatency',
    'LATENCY HISTOGRAM of writing commands',
    (look) => latency(look, 'write'),
  ),
  metric('pair', 'Count', 'TrafficManagementActive', '0: nothing throttles', () => 0),
  metric('pair', 'Bytes', 'UsedMemoryDataset', 'used_memory_dataset', stands('used_memory_dataset')),
];

/**
 * The histogram's classes are an octave wide: a value stands in the middle of its own, and is right within a third. Count and
 * sum are those of commandstats. Where the engine keeps no histogram nothing is known of the spread.
 */
function latency({ rise, riseOf }: Look, access: 'read' | 'write'): Summary | undefined {
  const usec = rise(`${access}_usec`);
  const calls = rise(`${access}_calls`);
  if (usec === undefined || calls === undefined || calls <= 0) return undefined;
  const values = riseOf(latencyPrefix[access])
    .map(([bound, count]): ValueCount => [middle(Number(bound)), count])
    .sort(([a], [b]) => a - b);
  // The two are not read at the same instant: the sum is of as many calls as are told of.
  const sampleCount = values.length === 0 ? calls : values.reduce((total, [, count]) => total + count, 0);
  const total = rounded((usec / calls) * sampleCount);
  const mean = total / sampleCount;
  return {
    sampleCount,
    sum: total,
    // A mean beside its class is still between them.
    minimum: Math.min(values[0]?.[0] ?? mean, Math.floor(mean * 10_000) / 10_000),
    maximum: Math.max(values.at(-1)?.[0] ?? mean, Math.ceil(mean * 10_000) / 10_000),
    ...(values.length > 0 && { values }),
  };
}

function middle(bound: number): number {
  return bound <= 1 ? bound : rounded(bound * 0.75);
}
