/**
 * (pure) What a node has counted since it is watched, over restarts of its engine and of the service: counters that begin
 * again are added up, so that no increase is negative, giant or lost.
 */
import type { Counts } from '@larder/engine/counters/engine-counts';

/** As a host reads it. */
export interface CountedReading {
  /** By the host's clock. */
  readonly atMs: number;
  readonly run: string;
  readonly watch: string;
  readonly counts: Counts;
}

/** The last reading, and the sums of everything that only rises. Goes to the database as JSON. */
export interface NodeCount extends CountedReading {
  readonly totals: Counts;
}

/** Of INFO and `stats`, those that only rise while an engine runs. */
const rising = new Set(
  `total_connections_received rejected_connections total_commands_processed total_error_replies total_net_input_bytes
   total_net_output_bytes total_reads_processed total_writes_processed evicted_keys expired_keys expired_fields
   keyspace_hits keyspace_misses active_defrag_hits acl_access_denied_auth acl_access_denied_cmd acl_access_denied_key
   acl_access_denied_channel acl_access_denied_db errorstat_WRONGPASS errorstat_NOPERM sync_full sync_partial_ok
   used_cpu_sys used_cpu_user used_cpu_sys_main_thread used_cpu_user_main_thread process_major_faults
   bytes_read bytes_written cas_badval cas_hits cas_misses cmd_flush cmd_get cmd_set cmd_touch total_connections total_items
   decr_hits decr_misses delete_hits delete_misses get_hits get_misses incr_hits incr_misses touch_hits touch_misses
   evictions reclaimed evicted_unfetched expired_unfetched slabs_moved rusage_user rusage_system`
    .trim()
    .split(/\s+/),
);
/** These go on where the last run ended; how far is not the new run's doing. */
const continuing = new Set(['master_repl_offset']);
/** This begins again with whoever watches the node. */
const ofWatch = 'own_connections_opened';

function rises(name: string): boolean {
  return (
    rising.has(name) ||
    name.endsWith('_calls') ||
    name.endsWith('_usec') ||
    name.startsWith('read_within_') ||
    name.startsWith('write_within_')
  );
}

/** @param before undefined for a node that was never read: what it counted until now is nobody's. */
export function countOn(before: NodeCount | undefined, reading: CountedReading): NodeCount {
  const totals: Counts = { ...before?.totals };
  const sameRun = before?.run === reading.run;
  const sameWatch = sameRun && before?.watch === reading.watch;
  for (const name in reading.counts) {
    const isOfWatch = name === ofWatch;
    const goesOn = continuing.has(name);
    if (!isOfWatch && !goesOn && !rises(name)) continue;
    if (before === undefined) {
      totals[name] = 0;
      continue;
    }
    const now = reading.counts[name]!;
    const last = before.counts[name] ?? 0;
    const same = isOfWatch ? sameWatch : sameRun;
    let increase = now - last;
    // Begun again: what it counts now came since. Also after CONFIG RESETSTAT.
    if (!same || increase < 0) increase = goesOn ? 0 : now;
    totals[name] = (totals[name] ?? 0) + increase;
  }
  return { ...reading, totals };
}
