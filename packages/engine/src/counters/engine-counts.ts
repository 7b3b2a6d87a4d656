/**
 * (pure) Everything that an engine counts and measures of itself, as numbers with names: INFO's own, and for commands sums over
 * families. Some of them only ever rise while the process runs, and some go up and down; which do is the reader's to know.
 */
import { type CommandAccess, classOfCommand } from './command-classes.ts';

export type Counts = Record<string, number>;

export interface EngineCounts {
  /** Names one run of the engine: its counters began with it. */
  readonly run: string;
  readonly counts: Counts;
}

/** Of INFO, those that metrics are made of; the others are not carried from host to host. */
const wanted = new Set(
  `connected_clients blocked_clients tracking_total_keys used_memory used_memory_dataset maxmemory
   mem_not_counted_for_evict mem_fragmentation_ratio allocator_frag_bytes allocator_frag_ratio rdb_bgsave_in_progress
   loading total_connections_received rejected_connections total_commands_processed total_error_replies
   total_net_input_bytes total_net_output_bytes total_reads_processed total_writes_processed
   evicted_keys expired_keys expired_fields keyspace_hits keyspace_misses active_defrag_hits pubsub_channels
   pubsubshard_channels acl_access_denied_auth acl_access_denied_cmd acl_access_denied_key acl_access_denied_channel
   acl_access_denied_db sync_full sync_partial_ok connected_slaves master_repl_offset slave_repl_offset
   master_last_io_seconds_ago used_cpu_sys used_cpu_user used_cpu_sys_main_thread used_cpu_user_main_thread`
    .trim()
    .split(/\s+/),
);

/** Reads the reply of `INFO everything`. Undefined for a text that names no run. */
export function countInfo(text: string): EngineCounts | undefined {
  const counts: Counts = {};
  let run: string | undefined;
  let keys = 0;
  let expires = 0;
  let volatileItems: number | undefined;
  for (let from = 0; from < text.length; ) {
    let to = text.indexOf('\n', from);
    if (to < 0) to = text.length;
    const colon = text.indexOf(':', from);
    if (colon > from && colon < to) {
      const name = text.slice(from, colon);
      const value = () => text.slice(colon + 1, text.charCodeAt(to - 1) === 13 ? to - 1 : to);
      if (wanted.has(name)) counts[name] = Number(value());
      else if (name.startsWith('cmdstat_')) countCommand(counts, name.slice(8), value());
      else if (name === 'run_id') run = value();
      else if (name === 'role') counts.is_primary = value() === 'master' ? 1 : 0;
      else if (name === 'master_link_status') counts.link_up = value() === 'up' ? 1 : 0;
      else if (name === 'errorstat_WRONGPASS' || name === 'errorstat_NOPERM') {
        counts[name] = Number(/count=(\d+)/.exec(value())?.[1] ?? 0);
      } else if (/^db\d+$/.test(name)) {
        const fields = new Map(
          value()
            .split(',')
            .map((each) => each.split('=') as [string, string]),
        );
        keys += Number(fields.get('keys') ?? 0);
        expires += Number(fields.get('expires') ?? 0);
        const items = fields.get('keys_with_volatile_items');
        if (items !== undefined) volatileItems = (volatileItems ?? 0) + Number(items);
        if (name === 'db0') counts.db0_average_ttl_ms = Number(fields.get('avg_ttl') ?? 0);
      }
    }
    from = to + 1;
  }
  if (run === undefined || run === '') return undefined;
  counts.keys = keys;
  counts.expires = expires;
  // An engine that knows of them says nothing while it has no keys.
  if (volatileItems !== undefined) counts.keys_with_volatile_items = volatileItems;
  return { run, counts };
}

/** @param value such as `calls=2,usec=9,usec_per_call=4.50,rejected_calls=0,failed_calls=0`. */
function countCommand(counts: Counts, name: string, value: string): void {
  const match = /^calls=(\d+),usec=(\d+)/.exec(value);
  if (match === null) return;
  const [calls, usec] = [Number(match[1]), Number(match[2])];
  const failed = Number(/failed_calls=(\d+)/.exec(value)?.[1] ?? 0);
  const { family, access, hasKey } = classOfCommand(name);
  const classes = [family, access, hasKey ? undefined : 'keyless'];
  if (access !== undefined && (family === 'json' || family === 'search')) classes.push(`${family}-${access}`);
  for (const each of classes) {
    if (each === undefined) continue;
    add(counts, callsOf(each), calls);
    add(counts, usecOf(each), usec);
  }
  if (access !== undefined) add(counts, `${access}_failed_calls`, failed);
}

/** Calls of a family's or class's commands, and the time they took; both only ever rise. */
export const callsOf = (name: string) => `${name}_calls`;
export const usecOf = (name: string) => `${name}_usec`;

function add(counts: Counts, name: string, value: number): void {
  counts[name] = (counts[name] ?? 0) + value;
}

export const latencyPrefix = { read: 'read_within_', write: 'write_within_' } as const;

/**
 * Reads the reply of `LATENCY HISTOGRAM`, command -> [`calls`, n, `histogram_usec`, [bound, cumulated count, ...]], into
 * counts of reading and writing commands by the bound in microseconds that each stayed within.
 */
export function countLatencies(reply: unknown): Counts {
  const counts: Counts = {};
  if (!Array.isArray(reply)) return counts;
  for (let index = 0; index + 1 < reply.length; index += 2) {
    const { access } = classOfCommand(String(reply[index]));
    const fields: unknown = reply[index + 1];
    if (access === undefined || !Array.isArray(fields)) continue;
    const histogram: unknown = fields[fields.indexOf('histogram_usec') + 1];
    if (Array.isArray(histogram)) countBuckets(counts, access, histogram);
  }
  return counts;
}

function countBuckets(counts: Counts, access: CommandAccess, histogram: readonly unknown[]): void {
  let before = 0;
  for (let index = 0; index + 1 < histogram.length; index += 2) {
    const cumulated = Number(histogram[index + 1]);
    add(counts, `${latencyPrefix[access]}${Number(histogram[index])}`, cumulated - before);
    before = cumulated;
  }
}

/** Of Memcached's `stats`, those that metrics are made of. */
const wantedOfMemcached = new Set(
  `bytes bytes_read bytes_written hash_bytes cas_badval cas_hits cas_misses cmd_flush cmd_get cmd_set cmd_touch
   curr_connections total_connections rejected_connections curr_items total_items decr_hits decr_misses delete_hits
   delete_misses get_hits get_misses incr_hits incr_misses touch_hits touch_misses evictions reclaimed
   evicted_unfetched expired_unfetched slabs_moved limit_maxbytes rusage_user rusage_system`
    .trim()
    .split(/\s+/),
);

/** Reads the reply of `stats`. Undefined for a text that names no run. */
export function countMemcached(text: string): EngineCounts | undefined {
  const counts: Counts = {};
  let run: string | undefined;
  for (const line of text.split('\r\n')) {
    const [word, name, value] = line.split(' ');
    if (word !== 'STAT' || name === undefined || value === undefined) continue;
    if (wantedOfMemcached.has(name)) counts[name] = Number(value);
    else if (name === 'pid') run = value;
  }
  return run === undefined ? undefined : { run, counts };
}
