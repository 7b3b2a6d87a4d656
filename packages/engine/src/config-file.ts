/**
 * (pure) What an engine process is started with. Everything is in the file or the arguments we render here;
 * nothing is ever kept by CONFIG REWRITE, which would persist run-time changes such as an endpoint's address.
 */
import { type AclUser, aclDirective } from './acl.ts';
import { compareVersions, type EngineName } from './engine.ts';
import { memcachedArguments } from './parameters/memcached.ts';

export interface EngineSettings {
  readonly engine: EngineName;
  /** The node's own address; peers and clients know it by this one. */
  readonly address: string;
  /** The port clients know. Where the router stands before the engine, the engine itself listens on others. */
  readonly port: number;
  /** What the engine listens on without and with TLS; 0 for not at all. */
  readonly plainPort: number;
  readonly tlsPort: number;
  /** Between the nodes of a cluster. Kept for a group's life: nodes that disagree can't talk. */
  readonly busEncrypted: boolean;
  /** More addresses to listen on from the start, for a node that holds an endpoint. */
  readonly endpointAddresses: readonly string[];
  readonly maxmemoryBytes: number;
  /** Clients at once; fewer where the machine has no more files. */
  readonly maxConnections: number;
  readonly clusterEnabled: boolean;
  /** Its cluster was never whole: nodes then ask each other more often. */
  readonly forming: boolean;
  /** Set: it starts as a replica of this address, so that it is at no moment an empty primary. */
  readonly replicaOf?: { readonly address: string; readonly port: number };
  /** Directives of the parameter group, in the engine's own spelling; Memcached: its parameters. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Every user of the engine, the service's own among them. None for Memcached. */
  readonly users: readonly AclUser[];
  /** Customers' data is not written to files as it is, also not for a moment. */
  readonly encryptedAtRest: boolean;
  /** What a replica proves itself with to its primary. */
  readonly replication?: { readonly user: string; readonly password: string };
}

/** In the node's folder: its certificate, its key, and the authority that signed it. */
export const certificateFiles = { certificate: 'tls.crt', key: 'tls.key', authority: 'ca.crt' } as const;

/** In the node's folder: where the service talks to the engine. Clients are not let in here. */
export const adminSocket = 'engine.sock';

/** In the node's folder: what the engine saves its data to, and loads at its start. */
export const dataFile = 'dump.rdb';

/** Cluster bus port. Explicit, so that it can't fall into the range of ephemeral ports. */
export function clusterBusPort(port: number): number {
  return port + 10_000;
}

/** The text of `engine.conf` for Valkey and Redis. `folder` is the node's working directory. */
export function renderConfigFile(settings: EngineSettings, version: string, folder: string): string {
  const lines: [string, string | number][] = [
    ['bind', [settings.address, ...settings.endpointAddresses].join(' ')],
    ['bind-source-addr', settings.address],
    ['port', settings.plainPort],
    // Relative to the folder: a socket's path may have 107 characters only.
    ['unixsocket', adminSocket],
    ['unixsocketperm', '700'],
    ['dir', quote(folder)],
    ['daemonize', 'no'],
    // A restarted service finds the process by this file's path on its command line.
    ['set-proc-title', 'no'],
    // It listens on loopback addresses only; protected mode knows just one of them, 127.0.0.1.
    ['protected-mode', 'no'],
    // A cache: nothing on disk. It also keeps a crashed primary from coming back with old data.
    ['save', '""'],
    ['appendonly', 'no'],
    // Written and read for snapshots alone.
    ['dbfilename', dataFile],
    // Nor the file in which a replica received its primary's data.
    ['rdb-del-sync-files', 'yes'],
    ['maxmemory', settings.maxmemoryBytes],
    ['maxclients', settings.maxConnections],
    ['tcp-backlog', 511],
    ['repl-diskless-sync', 'yes'],
    ['repl-diskless-sync-delay', 0],
    ...replicaLoading(settings, version),
    ['repl-timeout', 60],
    ['repl-ping-replica-period', 2],
    ['replica-announce-ip', settings.address],
    ['replica-announce-port', settings.plainPort === 0 ? settings.tlsPort : settings.plainPort],
    ['replica-serve-stale-data', 'yes'],
    ['stop-writes-on-bgsave-error', 'no'],
    ['crash-log-enabled', 'yes'],
  ];
  if (settings.replication !== undefined) {
    lines.push(['masteruser', settings.replication.user], ['masterauth', settings.replication.password]);
  }
  if (settings.tlsPort !== 0) lines.push(...tlsLines(settings));
  if (settings.clusterEnabled) {
    lines.push(
      ['cluster-enabled', 'yes'],
      ['cluster-config-file', 'nodes.conf'],
      ['cluster-port', clusterBusPort(settings.port)],
      ['cluster-announce-ip', settings.address],
      ...announcedPorts(settings),
      ['cluster-announce-bus-port', clusterBusPort(settings.port)],
      // Deaths are noticed as events and a vote is started at once; this is only the engine's own backstop.
      // Nodes ask each other twice in this time: forming, they would else learn of each other's roles by chance.
      ['cluster-node-timeout', settings.forming ? formingNodeTimeoutMs : clusterNodeTimeoutMs],
      ['cluster-allow-replica-migration', 'no'],
      ['cluster-replica-validity-factor', 0],
    );
  } else if (settings.replicaOf !== undefined) {
    lines.push(['replicaof', `${settings.replicaOf.address} ${settings.replicaOf.port}`]);
  }
  // First: what the service decides has the last word.
  const parameters = Object.entries(settings.parameters).map(([name, value]) => `${name} ${words(value)}`);
  const decided = lines.map(([name, value]) => `${name} ${value}`);
  return `${[...parameters, ...decided, ...settings.users.map(aclDirective)].join('\n')}\n`;
}

/**
 * How a replica takes its primary's data on. From socket to memory it is there sooner, and nothing of it touches a
 * file; but with a single channel the primary then holds its stream of writes back until the replica's next sign
 * of life, for up to a second in which the replica calls itself in sync.
 */
function replicaLoading(settings: EngineSettings, version: string): [string, string][] {
  const dualChannel = settings.engine === 'valkey' && compareVersions(version, '8.0') >= 0;
  const lines: [string, string][] = [
    ['repl-diskless-load', dualChannel || settings.encryptedAtRest ? 'swapdb' : 'disabled'],
  ];
  return dualChannel ? [...lines, ['dual-channel-replication-enabled', 'yes']] : lines;
}

function tlsLines({ plainPort, tlsPort, busEncrypted }: EngineSettings): [string, string | number][] {
  return [
    ['tls-port', tlsPort],
    ['tls-cert-file', certificateFiles.certificate],
    ['tls-key-file', certificateFiles.key],
    ['tls-ca-cert-file', certificateFiles.authority],
    // Clients prove who they are with a password or a token, as with ElastiCache.
    ['tls-auth-clients', 'no'],
    ['tls-replication', plainPort === 0 ? 'yes' : 'no'],
    ['tls-cluster', busEncrypted ? 'yes' : 'no'],
  ];
}

/** Where the router stands before the engine, clients of TLS are sent to it, by the port they know. */
export function announcedPorts({ port, plainPort, tlsPort }: EngineSettings): [string, string | number][] {
  return [
    ['cluster-announce-port', plainPort],
    ['cluster-announce-tls-port', tlsPort === 0 || plainPort !== 0 ? tlsPort : port],
  ];
}

/** A parameter's value as a directive has it: several words stay several, an empty one is still there. */
function words(value: string): string {
  if (value === '') return '""';
  return /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(value) && !/["'\\#]/.test(value) ? value : quote(value);
}

/** Once the cluster was whole. */
export const clusterNodeTimeoutMs = 5_000;
const formingNodeTimeoutMs = 1_000;

/** What the process that starts an engine may do. */
export interface ProcessLimits {
  readonly asRoot: boolean;
  /** Hard limit of open files. */
  readonly openFiles: number;
}

/** An engine's own files: listening sockets, pipes of its threads, logs. */
export const spareFiles = 200;

/** The path below the node's `folder` among its engine's arguments, by which a restarted service finds the process. */
export function engineMark(folder: string, engine: EngineName): string {
  return `${folder}/${engine === 'memcached' ? 'engine.pid' : 'engine.conf'}`;
}

/** The engine's arguments, `engineMark` among them. */
export function engineArguments(settings: EngineSettings, folder: string, process: ProcessLimits): string[] {
  if (settings.engine !== 'memcached') return [engineMark(folder, settings.engine)];
  // Memcached does not start when it can't have the files; Valkey and Redis lower their limit themselves.
  const connections = Math.min(settings.maxConnections, process.openFiles - spareFiles);
  const megabytes = Math.max(64, Math.floor(settings.maxmemoryBytes / 2 ** 20));
  return [
    ...['-l', [settings.address, ...settings.endpointAddresses].join(','), '-p', String(settings.port)],
    ...['-U', '0', '-m', String(megabytes), '-c', String(connections)],
    ...['-P', engineMark(folder, settings.engine)],
    ...memcachedArguments(settings.parameters),
    ...(settings.tlsPort === 0 ? [] : memcachedTls(folder)),
    // Memcached stays root only when told so. With TLS it must: else it could not read a renewed certificate.
    ...(process.asRoot ? ['-u', settings.tlsPort === 0 ? 'nobody' : 'root'] : []),
  ];
}

function memcachedTls(folder: string): string[] {
  const file = (name: keyof typeof certificateFiles) => `${folder}/${certificateFiles[name]}`;
  return ['-Z', '-o', `ssl_chain_cert=${file('certificate')},ssl_key=${file('key')}`];
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
