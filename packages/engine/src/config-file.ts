/**
 * (pure) What an engine process is started with. Everything is in the file or the arguments we render here;
 * nothing is ever kept by CONFIG REWRITE, which would persist run-time changes such as an endpoint's address.
 */
import type { EngineName } from './engine.ts';

export interface EngineSettings {
  readonly engine: EngineName;
  /** The node's own address; peers and clients know it by this one. */
  readonly address: string;
  readonly port: number;
  /** More addresses to listen on from the start, for a node that holds an endpoint. */
  readonly endpointAddresses: readonly string[];
  readonly maxmemoryBytes: number;
  readonly clusterEnabled: boolean;
  /** Set: it starts as a replica of this address, so that it is at no moment an empty primary. */
  readonly replicaOf?: { readonly address: string; readonly port: number };
}

/** Cluster bus port. Explicit, so that it can't fall into the range of ephemeral ports. */
export function clusterBusPort(port: number): number {
  return port + 10_000;
}

/** The text of `engine.conf` for Valkey and Redis. `folder` is the node's working directory. */
export function renderConfigFile(settings: EngineSettings, folder: string): string {
  const lines: [string, string | number][] = [
    ['bind', [settings.address, ...settings.endpointAddresses].join(' ')],
    ['bind-source-addr', settings.address],
    ['port', settings.port],
    ['dir', quote(folder)],
    ['daemonize', 'no'],
    // A restarted service finds the process by this file's path on its command line.
    ['set-proc-title', 'no'],
    // It listens on loopback addresses only; protected mode knows just one of them, 127.0.0.1.
    ['protected-mode', 'no'],
    // A cache: nothing on disk. It also keeps a crashed primary from coming back with old data.
    ['save', '""'],
    ['appendonly', 'no'],
    // Nor the file in which a replica received its primary's data.
    ['rdb-del-sync-files', 'yes'],
    ['maxmemory', settings.maxmemoryBytes],
    ['maxmemory-policy', 'volatile-lru'],
    ['maxclients', mostConnections],
    ['tcp-backlog', 511],
    ['repl-diskless-sync', 'yes'],
    ['repl-diskless-sync-delay', 0],
    ['repl-backlog-size', '64mb'],
    ['repl-backlog-ttl', 0],
    ['repl-timeout', 60],
    ['repl-ping-replica-period', 2],
    ['client-output-buffer-limit', 'replica 256mb 64mb 60'],
    ['replica-announce-ip', settings.address],
    ['replica-announce-port', settings.port],
    ['replica-serve-stale-data', 'yes'],
    ['stop-writes-on-bgsave-error', 'no'],
    ['crash-log-enabled', 'yes'],
  ];
  if (settings.clusterEnabled) {
    lines.push(
      ['cluster-enabled', 'yes'],
      ['cluster-config-file', 'nodes.conf'],
      ['cluster-port', clusterBusPort(settings.port)],
      ['cluster-announce-ip', settings.address],
      ['cluster-announce-port', settings.port],
      ['cluster-announce-bus-port', clusterBusPort(settings.port)],
      // Deaths are noticed as events and a vote is started at once; this is only the engine's own backstop.
      ['cluster-node-timeout', 5_000],
      ['cluster-require-full-coverage', 'no'],
      ['cluster-allow-replica-migration', 'no'],
      ['cluster-replica-validity-factor', 0],
    );
  } else if (settings.replicaOf !== undefined) {
    lines.push(['replicaof', `${settings.replicaOf.address} ${settings.replicaOf.port}`]);
  }
  return `${lines.map(([name, value]) => `${name} ${value}`).join('\n')}\n`;
}

/** What the process that starts an engine may do. */
export interface ProcessLimits {
  readonly asRoot: boolean;
  /** Hard limit of open files. */
  readonly openFiles: number;
}

/** ElastiCache's figure. */
const mostConnections = 65_000;
/** Memcached's own files: listening sockets, pipes of its threads, logs. */
const spareFiles = 200;

/** The path below the node's `folder` among its engine's arguments, by which a restarted service finds the process. */
export function engineMark(folder: string, engine: EngineName): string {
  return `${folder}/${engine === 'memcached' ? 'engine.pid' : 'engine.conf'}`;
}

/** The engine's arguments, `engineMark` among them. */
export function engineArguments(settings: EngineSettings, folder: string, process: ProcessLimits): string[] {
  if (settings.engine !== 'memcached') return [engineMark(folder, settings.engine)];
  // Memcached does not start when it can't have the files; Valkey and Redis lower their limit themselves.
  const connections = Math.min(mostConnections, process.openFiles - spareFiles);
  const megabytes = Math.max(64, Math.floor(settings.maxmemoryBytes / 2 ** 20));
  return [
    ...['-l', [settings.address, ...settings.endpointAddresses].join(','), '-p', String(settings.port)],
    ...[
      '-U',
      '0',
      '-m',
      String(megabytes),
      '-c',
      String(connections),
      '-o',
      'modern',
      '-P',
      engineMark(folder, settings.engine),
    ],
    // Memcached refuses to stay root.
    ...(process.asRoot ? ['-u', 'nobody'] : []),
  ];
}

/** Control characters too: a line break in a path must not begin another directive. */
function quote(text: string): string {
  const bytes = [...Buffer.from(text, 'utf8')].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `"${bytes.join('')}"`;
}
