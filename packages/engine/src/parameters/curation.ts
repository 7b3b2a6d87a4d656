/**
 * (pure) What becomes of each directive of Valkey and Redis in a parameter family. The engines tell name, default, type
 * and change type; here stands only what they can't know: what ElastiCache lets people change, where its defaults
 * differ, and what Larder decides itself. `npm run families` fails on a directive that stands in none of the lists,
 * so a new version can't slip one in.
 */

export interface Curated {
  readonly description: string;
  /** Replaces the engine's default. */
  readonly value?: string;
  /** Replaces what the engine says it allows. */
  readonly allowedValues?: string;
  /** Listed, but decided by Larder. */
  readonly fixed?: true;
}

const bufferLimit = (of: string, what: string): Curated => ({
  description: `Output buffer of ${of} clients: ${what}`,
});

/** The directive `client-output-buffer-limit` by ElastiCache's nine names. */
export const bufferClasses = ['normal', 'replica', 'pubsub'] as const;
export const bufferParts = ['hard-limit', 'soft-limit', 'soft-seconds'] as const;
const bufferLimits: Readonly<Record<string, Curated>> = Object.fromEntries(
  bufferClasses.flatMap((each) =>
    [
      'bytes at which the client is disconnected.',
      'bytes that may be exceeded for a while.',
      'seconds after which a client over the soft limit is disconnected.',
    ].map((what, index) => [
      `client-output-buffer-limit-${each}-${bufferParts[index]}`,
      // Larder sizes the replicas' itself: a replica cut off by it would load everything anew, for ever.
      { ...bufferLimit(each, what), ...(each === 'replica' && { fixed: true as const }) },
    ]),
  ),
);

/** Not directives of an engine. */
export const pseudoParameters: Readonly<
  Record<
    string,
    Curated & { readonly value: string; readonly allowedValues: string; readonly type: 'string' | 'integer' }
  >
> = {
  'cluster-enabled': {
    description: 'Whether groups made with this parameter group have cluster mode.',
    value: 'no',
    allowedValues: 'yes,no',
    type: 'string',
  },
  'reserved-memory-percent': {
    description: "Share of a node's memory that is not used for data, in percent.",
    value: '25',
    allowedValues: '0-100',
    type: 'integer',
  },
};

/** In families, with the directive's own name. */
export const curated: Readonly<Record<string, Curated>> = {
  ...bufferLimits,
  'acl-pubsub-default': { description: 'Channels that a new user may use when its rules name none.' },
  'acllog-max-len': { description: 'Longest list of denied commands and failed logins that is kept.' },
  'active-defrag-cycle-max': { description: 'Most effort of active defragmentation, in percent of a core.' },
  'active-defrag-cycle-min': { description: 'Least effort of active defragmentation, in percent of a core.' },
  'active-defrag-cycle-us': { description: 'Microseconds of one cycle of active defragmentation.' },
  'active-defrag-ignore-bytes': {
    description: 'Fragmentation in bytes below which nothing is defragmented.',
  },
  'active-defrag-max-scan-fields': {
    description: 'Longest structure that the main scan of a defragmentation processes.',
  },
  'active-defrag-threshold-lower': {
    description: 'Fragmentation in percent at which active defragmentation begins.',
  },
  'active-defrag-threshold-upper': {
    description: 'Fragmentation in percent at which it uses its most effort.',
  },
  'active-expire-effort': { description: 'How hard the engine looks for expired keys, 1 to 10.' },
  activedefrag: { description: 'Whether memory is defragmented while the engine works.' },
  activerehashing: { description: 'Whether the main table is rehashed step by step.', fixed: true },
  appendfsync: { description: 'When an append-only file is flushed; there is none.', fixed: true },
  appendonly: {
    description: 'Whether changes are appended to a file; nodes keep nothing on disk.',
    fixed: true,
  },
  'client-query-buffer-limit': { description: 'Largest query buffer of one client, in bytes.' },
  'cluster-allow-pubsubshard-when-down': {
    description: 'Whether sharded channels work while the cluster is down.',
  },
  'cluster-allow-reads-when-down': { description: 'Whether keys can be read while the cluster is down.' },
  'cluster-databases': { description: 'Number of databases with cluster mode.', allowedValues: '1-10000' },
  'cluster-require-full-coverage': {
    description: 'Whether a cluster serves nothing while slots are without a primary.',
    value: 'no',
  },
  'commandlog-large-reply-max-len': {
    description: 'Longest list of commands with large replies that is kept.',
  },
  'commandlog-large-request-max-len': { description: 'Longest list of large commands that is kept.' },
  'commandlog-reply-larger-than': {
    description: 'Bytes from which a reply is logged as large; -1 for never.',
  },
  'commandlog-request-larger-than': {
    description: 'Bytes from which a command is logged as large; -1 for never.',
  },
  // Each takes memory from the start; with what the engine allows it would not start.
  databases: { description: 'Number of databases without cluster mode.', allowedValues: '1-10000' },
  'extended-redis-compatibility': {
    description: "Whether Valkey answers with Redis's name where clients look at it.",
    value: 'yes',
  },
  'hash-max-listpack-entries': { description: 'Most fields of a hash that is stored compactly.' },
  'hash-max-listpack-value': { description: 'Longest value of a hash that is stored compactly, in bytes.' },
  'hll-sparse-max-bytes': { description: 'Largest sparse form of a HyperLogLog, in bytes.' },
  'latency-monitor-threshold': {
    description: 'Milliseconds from which an event is kept by the latency monitor; 0 for none.',
  },
  'latency-tracking': { description: 'Whether latency percentiles of commands are kept.', value: 'no' },
  'lazyfree-lazy-eviction': { description: 'Whether evicted keys are freed in the background.' },
  'lazyfree-lazy-expire': { description: 'Whether expired keys are freed in the background.' },
  'lazyfree-lazy-server-del': {
    description: 'Whether keys that a command replaces are freed in the background.',
  },
  'lazyfree-lazy-user-del': { description: 'Whether DEL frees in the background, as UNLINK does.' },
  'lazyfree-lazy-user-flush': {
    description: 'Whether FLUSHALL and FLUSHDB free in the background unless told otherwise.',
  },
  'lfu-decay-time': { description: 'Minutes after which the access counter of a key is lowered.' },
  'lfu-log-factor': { description: 'How slowly the access counter of a key rises.' },
  'list-compress-depth': {
    description: 'Entries at each end of a list that are not compressed; 0 for no compression.',
  },
  'list-max-listpack-size': {
    description: 'Most entries of a part of a list, or its size from -1 (4 KB) to -5 (64 KB).',
  },
  'lua-time-limit': {
    description: 'Milliseconds after which a script is reported as slow and can be killed.',
  },
  maxclients: { description: 'Most client connections at a time.', value: '65000', fixed: true },
  'maxmemory-clients': {
    description: 'Most memory of all client connections, in bytes or percent; 0 for no limit.',
  },
  'maxmemory-eviction-tenacity': { description: 'How much time eviction may take, 0 to 100.' },
  'maxmemory-policy': { description: 'What is evicted when memory is full.', value: 'volatile-lru' },
  'maxmemory-samples': { description: 'Keys that are compared to find one to evict.', value: '3' },
  'min-replicas-max-lag': { description: 'Seconds of lag up to which a replica counts as good.' },
  'min-replicas-to-write': {
    description: 'Good replicas without which a primary takes no writes; 0 for no such rule.',
  },
  'notify-keyspace-events': { description: 'Which events of keys are published.' },
  'proto-max-bulk-len': { description: 'Largest single string of a request, in bytes.' },
  'repl-backlog-size': {
    description: 'Bytes of the replication backlog, from which a replica that was away catches up.',
    // With the engine's own a replica of a busy primary would load everything anew after each failover.
    value: '67108864',
  },
  'repl-backlog-ttl': {
    description: 'Seconds without replicas after which the backlog is freed; 0 for never.',
    value: '0',
  },
  'repl-timeout': {
    description: 'Seconds of silence after which a replication link is given up.',
    fixed: true,
  },
  'set-max-intset-entries': { description: 'Most members of a set of integers that is stored compactly.' },
  'set-max-listpack-entries': { description: 'Most members of a set that is stored compactly.' },
  'set-max-listpack-value': { description: 'Longest member of a set that is stored compactly, in bytes.' },
  'slowlog-log-slower-than': {
    description: 'Microseconds from which a command is logged as slow; -1 for never.',
  },
  'slowlog-max-len': { description: 'Longest list of slow commands that is kept.' },
  'stream-node-max-bytes': { description: 'Largest node of a stream, in bytes.' },
  'stream-node-max-entries': { description: 'Most entries of a node of a stream.' },
  'tcp-keepalive': { description: 'Seconds between probes of idle connections; 0 for none.' },
  timeout: {
    description: 'Seconds after which an idle connection is closed; 0 for never.',
    allowedValues: '0,20-2147483647',
  },
  'tracking-table-max-keys': { description: 'Most keys that are tracked for client side caching.' },
  'zset-max-listpack-entries': { description: 'Most members of a sorted set that is stored compactly.' },
  'zset-max-listpack-value': {
    description: 'Longest member of a sorted set that is stored compactly, in bytes.',
  },
};

/** First version with it, where that is not the family's first. */
export const firstVersions: Readonly<Record<string, string>> = {
  'valkey commandlog-large-reply-max-len': '8.1.0',
  'valkey commandlog-large-request-max-len': '8.1.0',
  'valkey commandlog-reply-larger-than': '8.1.0',
  'valkey commandlog-request-larger-than': '8.1.0',
  'valkey active-defrag-cycle-us': '8.1.0',
};

/** Nobody's to set: Larder decides it, the operating system does, or it is another name of a directive above. */
const hidden: readonly RegExp[] = [
  // Where the node is reached and from where it connects.
  /^(port|bind|bind-source-addr|unixsocket.*|protected-mode|tcp-backlog|socket-mark-id|mptcp|repl-mptcp|rdma-.*)$/,
  /^(tls-.*|max-new-(tls-)?connections-per-cycle)$/,
  // Files, logs and the process.
  /^(dir|dbfilename|logfile|pidfile|aclfile|append(dir|file)name|daemonize|supervised|syslog-.*|loglevel)$/,
  /^(log-format|log-timestamp-format|always-show-logo|set-proc-title|proc-title-template|locale-collate)$/,
  /^(.*[-_]cpulist|oom-score-adj.*|disable-thp|jemalloc-bg-thread|io-threads.*|prefetch-batch-max-size)$/,
  /^(crash-.*|ignore-warnings|hide-user-data-from-log|hash-seed|hz|dynamic-hz|shutdown-.*)$/,
  /^(enable-.*|rename-command|import-mode|availability-zone|propagation-error-behavior)$/,
  // Persistence.
  /^(save|rdb.*|sanitize-dump-payload|aof-.*|auto-aof-.*|no-appendfsync-on-rewrite|stop-writes-on-bgsave-error)$/,
  // Who may log in.
  /^(requirepass|(master|primary)(auth|user))$/,
  // Replication and the cluster's own doings.
  /^(replicaof|replica-.*|repl-(diskless|disable|ping)-.*|dual-channel-.*|slot-migration-.*)$/,
  /^cluster-(announce|allow-replica|blacklist|config|link|manual|migration|node|port|preferred|replica|slave|slot)/,
  /^cluster-enabled$/,
  // By node type, less the reserved share.
  /^maxmemory$/,
  // In parts above.
  /^client-output-buffer-limit$/,
  // Percentiles that only INFO shows.
  /^latency-tracking-info-percentiles$/,
  // Older or newer names of others.
  /slave|ziplist/,
  /^(busy-reply-threshold|commandlog-execution-slower-than|commandlog-slow-execution-max-len)$/,
];

/** ElastiCache took these out of Valkey's families: there they are always on. */
const goneFromValkey = /^lazyfree-/;

/** @throws when nobody has decided about it. */
export function isListed(engine: string, directive: string): boolean {
  if (engine === 'valkey' && goneFromValkey.test(directive)) return false;
  if (Object.hasOwn(curated, directive)) return true;
  if (hidden.some((pattern) => pattern.test(directive))) return false;
  throw new Error(
    `${directive} of ${engine} stands in no list of parameters/curation.ts; decide what it is.`,
  );
}
