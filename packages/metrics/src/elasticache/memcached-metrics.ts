/** (pure) The metrics of Memcached, from `stats`. */
import { difference, metric, type NodeMetric, rose, stands } from './node-metric.ts';

const counters: readonly (readonly [name: string, field: string])[] = [
  ['CasBadval', 'cas_badval'],
  ['CasHits', 'cas_hits'],
  ['CasMisses', 'cas_misses'],
  ['CmdFlush', 'cmd_flush'],
  ['CmdGet', 'cmd_get'],
  ['CmdSet', 'cmd_set'],
  ['CmdTouch', 'cmd_touch'],
  ['NewItems', 'total_items'],
  ['DecrHits', 'decr_hits'],
  ['DecrMisses', 'decr_misses'],
  ['DeleteHits', 'delete_hits'],
  ['DeleteMisses', 'delete_misses'],
  ['GetHits', 'get_hits'],
  ['GetMisses', 'get_misses'],
  ['IncrHits', 'incr_hits'],
  ['IncrMisses', 'incr_misses'],
  ['TouchHits', 'touch_hits'],
  ['TouchMisses', 'touch_misses'],
  ['Evictions', 'evictions'],
  ['Reclaimed', 'reclaimed'],
  ['EvictedUnfetched', 'evicted_unfetched'],
  ['ExpiredUnfetched', 'expired_unfetched'],
  ['SlabsMoved', 'slabs_moved'],
];

export const memcachedMetrics: readonly NodeMetric[] = [
  metric('both', 'Bytes', 'BytesReadIntoMemcached', 'bytes_read', rose('bytes_read')),
  metric('both', 'Bytes', 'BytesWrittenOutFromMemcached', 'bytes_written', rose('bytes_written')),
  metric('both', 'Bytes', 'BytesUsedForCacheItems', 'bytes', stands('bytes')),
  metric('both', 'Bytes', 'BytesUsedForHash', 'hash_bytes', stands('hash_bytes')),
  metric('both', 'Bytes', 'UnusedMemory', 'limit_maxbytes less bytes', ({ now }) =>
    difference(now('limit_maxbytes'), now('bytes')),
  ),
  metric('both', 'Count', 'CurrItems', 'curr_items', stands('curr_items')),
  metric('both', 'Count', 'CurrConnections', "curr_connections, without the service's", ({ now }) =>
    difference(now('curr_connections'), now('own_connections')),
  ),
  metric('both', 'Count', 'NewConnections', "total_connections, without the service's", ({ rise }) =>
    difference(rise('total_connections'), rise('own_connections_opened')),
  ),
  metric('both', 'Count', 'CmdConfigSet', '0: only the service sets it', () => 0),
  metric('both', 'Count', 'CurrConfig', '1: every cluster has one', () => 1),
  ...counters.map(([name, field]) => metric('both', 'Count', name, field, rose(field))),
];
