/**
 * The seam to a client library. A driver opens connections to single nodes and reconnects them; which node
 * holds a partition, deadlines and scripts are the far tier's business. It is this thin on purpose: the bound
 * on staleness rests on knowing exactly when a connection was replaced, and cluster clients hide that.
 */

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

export interface LinkEvents {
  /** Connected and authenticated; called again after every reconnect. */
  up(): void;
  /** The connection is gone or unusable; everything in flight is rejected. */
  down(cause: Error): void;
}

export interface SubscriberEvents extends LinkEvents {
  /** Only between `up` (all channels subscribed) and `down`. */
  message(channel: string, text: string): void;
}

export interface Link {
  /**
   * Sends now, or rejects at once while down. Never queues for a later connection, never sends twice. Bulk
   * replies come as strings.
   */
  send(args: readonly string[]): Promise<unknown>;
  /** Drops the connection and connects anew. */
  reset(): void;
  close(): void;
}

export interface Subscriber {
  reset(): void;
  close(): void;
}

export interface SubscriberOptions {
  readonly channels: readonly string[];
  /** SSUBSCRIBE instead of SUBSCRIBE. */
  readonly sharded: boolean;
}

export interface Driver {
  readonly name: string;
  /** True: the nodes are seeds of a cluster. */
  readonly clustered: boolean;
  /** One, or for a cluster the seeds. */
  readonly nodes: readonly NodeAddress[];
  openLink(node: NodeAddress, events: LinkEvents): Link;
  openSubscriber(node: NodeAddress, options: SubscriberOptions, events: SubscriberEvents): Subscriber;
}

/** What every driver takes. */
export type DriverOptions = (NodeAddress | { readonly cluster: readonly NodeAddress[] }) & {
  readonly username?: string;
  readonly password?: string;
  /** true, or options of `tls.connect`. */
  readonly tls?: boolean | { readonly [option: string]: unknown };
};

export const connectTimeoutMs = 500;
/** A connection that is open but says nothing (a stopped process) is given up after this. */
export const handshakeTimeoutMs = 1_000;

/** Reconnects at once, then backs off: 5, 10, 20, 40, 80, 100 ms. */
export function backoffMs(attempt: number): number {
  return Math.min(100, 5 * 2 ** Math.min(attempt, 10));
}

export function nodesOf(options: DriverOptions): readonly NodeAddress[] {
  return 'cluster' in options ? options.cluster : [{ host: options.host, port: options.port }];
}
