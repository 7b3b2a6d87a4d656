/**
 * A machine that runs nodes, as the control plane sees it. The control plane decides; a host does one thing
 * at a time as told and reports what is true. Every operation is safe to repeat.
 */
import type { AclUser } from '@larder/engine/acl';
import type { EngineName } from '@larder/engine/engine';
import type { ClusterPeer, ServerInfo, SlotMigration } from '@larder/engine/info';
import type { SlotRange } from '@larder/engine/slots';
import type { KeyMove, KeysMoved } from './key-mover.ts';
import type { LogDelivered, LogTarget } from './log-delivery/deliver-logs.ts';
import type { LogSource } from './log-delivery/log-stream.ts';
import type { LogChunk, LogFile, LogPosition } from './log-delivery/read-log.ts';
import type { NodeReading } from './node-reading.ts';
import type { NodeSpec } from './node-spec.ts';
import type { ObjectPlace, ObjectStoreAccess } from './object-store/object-store.ts';

/** One run of a node's process. The start time tells two runs apart that got the same pid. */
export interface Incarnation {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTicks: number;
}

export type NodeProcess =
  /** Never started here, or removed. */
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'running';
      readonly incarnation: Incarnation;
      /** Set once it is certain enough to kill it for. A process that loads data or runs a script is not hung. */
      readonly hang?: Hang;
    }
  /**
   * Evidence that this run executes no more instructions: it was reaped, is gone from the process table, or
   * every task of it carries the kernel's exiting flag. It is what a promotion asks for as its fence.
   */
  | { readonly kind: 'dead'; readonly incarnation: Incarnation; readonly how: DeathEvidence }
  /** Its host can't be asked. It may run, and take writes. */
  | { readonly kind: 'unreachable'; readonly host: string }
  /**
   * Its host can't be asked, and the lease under which that host let its primaries take writes has run out on both
   * sides: what may run there refuses writes. Its data may still be there.
   */
  | { readonly kind: 'fenced'; readonly host: string };

/** A process that runs and answers nothing: how it was cross-checked, and for how long it has been silent. */
export interface Hang {
  /** Stopped by a signal; blocked in the kernel; using its processor without end; or neither, and yet silent. */
  readonly how: 'stopped' | 'blocked' | 'spinning' | 'idle';
  readonly silentMs: number;
}

export type DeathEvidence = 'reaped' | 'gone' | 'exiting';

export interface EngineObservation {
  readonly info: ServerInfo;
  /** Addresses it listens on now. */
  readonly boundAddresses: readonly string[];
  /** It refuses writes by `writeFence`: its host's lease ran out, or a handover was cut off. */
  readonly writesFenced: boolean;
  /** Only with cluster mode. */
  readonly cluster?: {
    readonly state: 'ok' | 'fail';
    readonly peers: readonly ClusterPeer[];
    /** Only where the engine itself moves whole slots (Valkey 9.0 and later): the newest first. */
    readonly slotMigrations?: readonly SlotMigration[];
  };
}

export interface NodeObservation {
  readonly nodeId: string;
  readonly process: NodeProcess;
  /** What its process was last started with. Missing for a node that never was. */
  readonly started?: Started;
  /** Missing when there is no process or it did not answer in time: unknown, not "down". */
  readonly engine?: EngineObservation;
  /** Memcached has no roles to report; this says that it answered. */
  readonly memcachedItems?: number;
  /** How far `keepData` is. Missing when it was not asked for since this host began to watch the process. */
  readonly keptData?: KeptData;
}

export type KeptData = 'saving' | 'saved' | 'failed';

export interface Started {
  readonly version: string;
  readonly generation: number;
  /** What it listens on; also when that was changed since. */
  readonly ports: Ports;
}

/** 0 for not at all. */
export interface Ports {
  readonly plainPort: number;
  readonly tlsPort: number;
}

/**
 * What `min-replicas-to-write` is set to so that a primary refuses every write from then on: more replicas than any has.
 * It outlives whoever set it.
 */
export const writeFence = '99';

/** What a node is set to, apart from its role. */
export interface NodeSettings extends Ports {
  /** Every parameter of the engine, in its own spelling; Memcached: those it was started with. */
  readonly parameters: Readonly<Record<string, string>>;
  /** `digestUsers` of those it was given last; undefined when the engine's differ by name. */
  readonly users: string | undefined;
  /** When the certificate it presents ends. Missing without TLS. */
  readonly certificateEndsAtMs?: number;
}

export interface CertificatePaths {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly authorityFile: string;
}

export class NodeUnreachable extends Error {
  override name = 'NodeUnreachable';
}

/** The engine did not write its data, or wrote what its own checker refuses. */
export class SaveFailed extends Error {
  override name = 'SaveFailed';
}

/** A kept file is gone or not what it was, or the engine that is to load it can't read it. */
export class SnapshotDamaged extends Error {
  override name = 'SnapshotDamaged';
}

/** One shard's data in a snapshot. */
export interface SnapshotFile {
  readonly snapshot: string;
  /** `0001`, ... */
  readonly shard: string;
  /** Kept encrypted. */
  readonly sealed: boolean;
}

/** What was saved of one shard. */
export interface SavedData {
  /** Of the data file itself. */
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly keys: number;
  /** Numbers of the databases that hold keys. */
  readonly databases: readonly number[];
  /** Of the engine as it saved. */
  readonly usedMemoryBytes: number;
}

/** Data that a node begins with. */
export interface StartData {
  readonly file: SnapshotFile;
  readonly sha256: string;
}

/** What loading a data file into an engine that serves nobody showed. */
export type Rehearsal =
  | {
      readonly kind: 'loaded';
      readonly keys: number;
      /** Those whose life time was over by then. */
      readonly expiredKeys: number;
      readonly tookMs: number;
    }
  | { readonly kind: 'failed'; readonly because: string }
  /** There is no room for it now. */
  | { readonly kind: 'skipped'; readonly because: string };

/** Who is to load a data file, and what may be in it. */
export interface Loader {
  readonly engine: EngineName;
  readonly version: string;
  /** Where a shard holds some of them only. */
  readonly slots?: readonly SlotRange[];
}

export class StaleOrder extends Error {
  override name = 'StaleOrder';
}

/** Every order about a group carries the group's epoch; a host refuses one lower than the highest it saw. */
export interface Order {
  readonly group: string;
  readonly epoch: number;
}

export interface Listening {
  readonly addresses: readonly string[];
  readonly dropped: readonly string[];
  /** That clients know. */
  readonly port: number;
  /**
   * The dropped ones stay the host's for a second: who connects is refused, instead of left without an answer, until
   * another host takes them.
   */
  readonly lingering?: boolean;
}

export interface Host {
  readonly id: string;
  /** Clients that one engine can have here: its files are bounded. */
  readonly mostConnections: number;
  /** Asks the processes and the engines now; waits at most about half a second for those that don't answer. */
  observe(nodeIds: readonly string[]): Promise<ReadonlyMap<string, NodeObservation>>;
  /** As `observe`, of the settings. Nodes that don't run or don't answer are missing. */
  readSettings(nodeIds: readonly string[]): Promise<ReadonlyMap<string, NodeSettings>>;
  /**
   * What the engines count and what their processes take, now; bounded in time as `observe`. A node that does not answer is
   * missing, as all of a host are that does not: that is not known, and not zero.
   */
  readings(nodeIds: readonly string[]): Promise<ReadonlyMap<string, NodeReading>>;
  /**
   * Starts the process unless it runs. Returns when it was started, not when it answers.
   * @param data loaded at this start, and at no later one.
   * @throws SnapshotDamaged when `data` can't be used: nothing was started.
   */
  startNode(spec: NodeSpec, data?: StartData): Promise<void>;
  /**
   * Has a replica save its data for its next start, from where it then follows on instead of taking a whole copy. Returns
   * when that has begun; `observe` tells how far it is. Repeatable. The data is used by the next start alone, when
   * `stopNode` ended the process and it starts as a replica; in any other case it is removed.
   */
  keepData(nodeId: string, order: Order): Promise<void>;
  /** Ends the process (SIGTERM, after a grace SIGKILL) and keeps its folder. Returns when it has ended. */
  stopNode(nodeId: string, order: Order): Promise<void>;
  /**
   * SIGKILL for this run of the process, and for no later one: the fence of a node that hangs. Waits a moment.
   * @returns whether it executes nothing any more; one that is blocked in the kernel may not end yet. Repeatable.
   */
  killNode(nodeId: string, order: Order, incarnation: Incarnation): Promise<boolean>;
  /**
   * Makes the engine listen on just these addresses; connections that came by `dropped` ones end. Where addresses move
   * between hosts, this host first takes those it lacks and tells its network, and in the end gives up the dropped ones.
   * @throws NodeUnreachable, StaleOrder, or the engine's error.
   */
  listen(nodeId: string, order: Order, listening: Listening): Promise<void>;
  /** Ends the process (SIGTERM, after a grace SIGKILL) and removes the node's folder. Returns when both are done. */
  removeNode(nodeId: string): Promise<void>;
  /** Sends engine commands on one connection, in order. @throws NodeUnreachable, StaleOrder, or the engine's error. */
  command(nodeId: string, order: Order, commands: readonly (readonly string[])[]): Promise<unknown[]>;
  /**
   * Moves keys of open slots to another node, replacing what is there under their names. Repeatable; may end before
   * all are moved. @throws NodeUnreachable, StaleOrder, or the engine's error: some keys may have been moved.
   */
  moveKeys(nodeId: string, order: Order, move: KeyMove): Promise<KeysMoved>;
  /**
   * Makes these the engine's only users. Connections of users that are gone or switched off end, others stay,
   * also those of users whose password changed. Repeatable; remembered for `readSettings`.
   */
  setUsers(nodeId: string, order: Order, users: readonly AclUser[]): Promise<void>;
  /**
   * Makes the engine listen on these ports, with a certificate for `addresses` where one is for TLS. Open
   * connections stay. Repeatable.
   */
  setPorts(nodeId: string, order: Order, ports: Ports, addresses: readonly string[]): Promise<void>;
  /** Puts a new certificate under the node; open connections keep theirs. */
  renewCertificate(nodeId: string, order: Order, addresses: readonly string[]): Promise<void>;
  /**
   * Has the engine save what it holds at this moment, checks it with the engine's own checker and keeps it. Returns
   * when it is on disk; one save at a time on a host. Repeatable: a file that is there is replaced.
   * @param stopping when aborted, the save is not waited for any more; the engine goes on with it.
   * @throws NodeUnreachable, StaleOrder, SaveFailed
   */
  saveSnapshot(nodeId: string, order: Order, file: SnapshotFile, stopping?: AbortSignal): Promise<SavedData>;
  /** Keeps all files of a snapshot under another name too. Repeatable. @throws SnapshotDamaged when there are none. */
  copySnapshot(from: string, to: string): Promise<void>;
  /** Removes its files, also half-written ones. Repeatable. */
  removeSnapshot(name: string): Promise<void>;
  /**
   * Uploads a kept file, in plain. Repeatable: what an earlier try left of it in the bucket is taken away.
   * @param kept what was recorded when it was saved; what is uploaded is compared with it.
   * @throws SnapshotDamaged, ObjectStoreRefused, ObjectStoreUnavailable: there is nothing new under that key then, but
   *   perhaps parts, for `abandonExport`.
   */
  exportSnapshot(
    file: SnapshotFile,
    kept: Pick<SavedData, 'sizeBytes' | 'sha256'>,
    to: ObjectPlace,
    access: ObjectStoreAccess,
    stopping?: AbortSignal,
  ): Promise<void>;
  /** Takes away what this host left in the bucket of an upload that did not end. Repeatable. @throws as above */
  abandonExport(to: ObjectPlace, access: ObjectStoreAccess): Promise<void>;
  /**
   * Downloads a data file to the host of that node, checks it for the loader and keeps it. Repeatable.
   * @throws SnapshotDamaged when the loader can't read it or may not have it; ObjectStoreRefused for one larger than
   *   `maxBytes` too; ObjectStoreUnavailable. Nothing is left then.
   */
  importSnapshot(
    nodeId: string,
    file: SnapshotFile,
    from: { readonly place: ObjectPlace; readonly maxBytes: number },
    loader: Loader,
    access: ObjectStoreAccess,
    stopping?: AbortSignal,
  ): Promise<SavedData>;
  /** Loads a kept file into an engine that serves nobody; one at a time on a host, and not beside a save. */
  rehearseSnapshot(
    file: SnapshotFile,
    kept: Pick<SavedData, 'sha256' | 'usedMemoryBytes'>,
    loader: Loader,
    stopping?: AbortSignal,
  ): Promise<Rehearsal>;
  /**
   * Appends what is new in a node's logs to the targets' files, each entry once, also over a restart of the host: at
   * most 128 slow commands and 256 KiB of what the engine printed. A node that does not answer has nothing new.
   */
  deliverLogs(source: LogSource, targets: readonly LogTarget[]): Promise<readonly LogDelivered[]>;
  /**
   * What was delivered to one of those files, from a position on: whole lines, up to 256 KiB. The position after it is that
   * of what comes next, also when the file was put aside meanwhile.
   * @param position `null` for the begin of what there is.
   */
  readLog(source: LogSource, target: LogFile, position: LogPosition | null): Promise<LogChunk>;
  /** Where a node's certificate, its key and its authority are, for the router that stands before it. */
  certificateFiles(nodeId: string): CertificatePaths;
  /** Whether nobody listens on it. Not a reservation. */
  isAddressFree(address: string, port: number): Promise<boolean>;
  /** Calls `listener` when something about a node changed: look again. Returns the way to stop. */
  onChange(listener: (nodeId: string) => void): () => void;
  /** Lets go of everything; nodes run on. */
  close(): Promise<void>;
}
