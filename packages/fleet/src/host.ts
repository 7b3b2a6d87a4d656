/**
 * A machine that runs nodes, as the control plane sees it. The control plane decides; a host does one thing
 * at a time as told and reports what is true. Every operation is safe to repeat.
 */
import type { ClusterPeer, ServerInfo } from '@larder/engine/info';
import type { NodeSpec } from './node-spec.ts';

/** One run of a node's process. The start time tells two runs apart that got the same pid. */
export interface Incarnation {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTicks: number;
}

export type NodeProcess =
  /** Never started here, or removed. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'running'; readonly incarnation: Incarnation }
  /**
   * Evidence that this run executes no more instructions: it was reaped, is gone from the process table, or
   * every task of it carries the kernel's exiting flag. It is what a promotion asks for as its fence.
   */
  | { readonly kind: 'dead'; readonly incarnation: Incarnation; readonly how: DeathEvidence };

export type DeathEvidence = 'reaped' | 'gone' | 'exiting';

export interface EngineObservation {
  readonly info: ServerInfo;
  /** Addresses it listens on now. */
  readonly boundAddresses: readonly string[];
  /** Only with cluster mode. */
  readonly cluster?: { readonly state: 'ok' | 'fail'; readonly peers: readonly ClusterPeer[] };
}

export interface NodeObservation {
  readonly nodeId: string;
  readonly process: NodeProcess;
  /** Missing when there is no process or it did not answer in time: unknown, not "down". */
  readonly engine?: EngineObservation;
  /** Memcached has no roles to report; this says that it answered. */
  readonly memcachedItems?: number;
}

export class NodeUnreachable extends Error {
  override name = 'NodeUnreachable';
}

export class StaleOrder extends Error {
  override name = 'StaleOrder';
}

/** Every order about a group carries the group's epoch; a host refuses one lower than the highest it saw. */
export interface Order {
  readonly group: string;
  readonly epoch: number;
}

export interface Host {
  readonly id: string;
  /** Asks the processes and the engines now; waits at most about half a second for those that don't answer. */
  observe(nodeIds: readonly string[]): Promise<ReadonlyMap<string, NodeObservation>>;
  /** Starts the process unless it runs. Returns when it was started, not when it answers. */
  startNode(spec: NodeSpec): Promise<void>;
  /** Ends the process (SIGTERM, after a grace SIGKILL) and removes the node's folder. Returns when both are done. */
  removeNode(nodeId: string): Promise<void>;
  /** Sends engine commands on one connection, in order. @throws NodeUnreachable, StaleOrder, or the engine's error. */
  command(nodeId: string, order: Order, commands: readonly (readonly string[])[]): Promise<unknown[]>;
  /** Whether nobody listens on it. Not a reservation. */
  isAddressFree(address: string, port: number): Promise<boolean>;
  /** Calls `listener` when something about a node changed: look again. Returns the way to stop. */
  onChange(listener: (nodeId: string) => void): () => void;
  /** Lets go of everything; nodes run on. */
  close(): Promise<void>;
}
