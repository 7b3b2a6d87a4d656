/**
 * What goes between the control plane and a host's agent: HTTP over mutual TLS, JSON both ways. One end makes of it a
 * `Host` again (`remote-host.ts`), the other end has a real one (`agent-server.ts`).
 */
import {
  type Host,
  type NodeObservation,
  type NodeSettings,
  NodeUnreachable,
  SaveFailed,
  SnapshotDamaged,
  StaleOrder,
} from '../host.ts';
import { MoveRefused } from '../key-mover.ts';
import { ObjectStoreRefused, ObjectStoreUnavailable } from '../object-store/object-store.ts';
import { RouteTableInvalid } from '../router/route-table.ts';
import { ListenFailed } from '../router/router.ts';
import type { MasterEntry } from '../router/sentinel/masters.ts';

/** Those about one node that may change what it does; their first argument is the node's id or has it. */
export const nodeOrders = [
  'startNode',
  'keepData',
  'stopNode',
  'killNode',
  'listen',
  'removeNode',
  'command',
  'moveKeys',
  'setUsers',
  'setPorts',
  'renewCertificate',
] as const satisfies readonly (keyof Host)[];

/** Operations of a host that go over the wire as they are: arguments and result are JSON. */
export const plainCalls = [
  ...nodeOrders,
  'copySnapshot',
  'removeSnapshot',
  'abandonExport',
  'deliverLogs',
  'readLog',
] as const satisfies readonly (keyof Host)[];

export type PlainCall = (typeof plainCalls)[number];

/** As those, with a signal as their last argument: the caller hangs up when it is aborted. By how many come before it. */
export const stoppableCalls = {
  saveSnapshot: 3,
  exportSnapshot: 4,
  importSnapshot: 5,
  rehearseSnapshot: 3,
} as const satisfies Partial<Record<keyof Host, number>>;

export type StoppableCall = keyof typeof stoppableCalls;

/** Besides these: their results are maps, or they are not the host's own. */
export type HostCall =
  | PlainCall
  | StoppableCall
  | 'observe'
  | 'readSettings'
  | 'readings'
  | 'nodeIds'
  | 'routes'
  | 'putRoutes'
  | 'standIn'
  | 'announce'
  | 'masters'
  | 'putMasters';

export interface CallBody {
  /** Rises with every call of this controller's, so that one which was overtaken is known for it. */
  readonly number: number;
  /** Rises with every controller that leads; an agent refuses orders of one before. */
  readonly leader: number;
  readonly args: readonly unknown[];
}

/** What an agent tells of itself. */
export interface HostFacts {
  readonly mostConnections: number;
  /** Of the nodes' folders on that host. */
  readonly nodesDirectory: string;
}

export interface LeaseAnswer {
  readonly question: string;
  readonly facts: HostFacts;
}

/** The agent has none for the node that serves these addresses; the control plane makes one and calls again. */
export class CertificateNeeded extends Error {
  override name = 'CertificateNeeded';
  readonly nodeId: string;
  readonly addresses: readonly string[];
  constructor(nodeId: string, addresses: readonly string[]) {
    super(`Node ${nodeId} needs a certificate for ${addresses.join(', ')}.`);
    this.nodeId = nodeId;
    this.addresses = addresses;
  }
}

export interface ErrorBody {
  readonly error: string;
  readonly message: string;
  readonly addresses?: readonly string[];
  readonly nodeId?: string;
}

const known: ReadonlyMap<string, new (message: string) => Error> = new Map(
  [
    NodeUnreachable,
    StaleOrder,
    SaveFailed,
    SnapshotDamaged,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    MoveRefused,
    ListenFailed,
    RouteTableInvalid,
  ].map((each) => [each.name, each]),
);

export function errorBody(error: Error): ErrorBody {
  const { name, message } = error;
  if (!(error instanceof CertificateNeeded)) return { error: name, message };
  return { error: name, message, nodeId: error.nodeId, addresses: error.addresses };
}

/** What was thrown at the other end: of the same class where callers tell them apart. */
export function errorOf({ error, message, nodeId, addresses }: ErrorBody): Error {
  if (error === CertificateNeeded.name && nodeId !== undefined && addresses !== undefined) {
    return new CertificateNeeded(nodeId, addresses);
  }
  const kind = known.get(error);
  return kind === undefined ? new Error(message) : new kind(message);
}

/** By owner. */
export type MasterList = readonly (readonly [string, MasterEntry])[];
export type ObserveResult = readonly NodeObservation[];
export type SettingsResult = readonly (readonly [string, NodeSettings])[];
