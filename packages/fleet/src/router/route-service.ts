/** What a listener does with the connections that come to it. One kind of route, one service. */
import type { Socket } from 'node:net';
import type { LookupSecret } from '@larder/contract/sigv4';
import type { Route } from './route-table.ts';

export interface RouteCounters {
  /** Connections that are open now. */
  readonly connections: number;
  /** Since the router was started, or the route put. */
  readonly totalConnections: number;
  /** Of `iam` routes. */
  readonly iam?: {
    readonly authentications: number;
    readonly failures: number;
    /** Not even looked at, for there were too many failures. Not among `failures`. */
    readonly throttled: number;
    /** Connections closed 12 hours after their last authentication. */
    readonly expirations: number;
    /** Connections closed because they did not authenticate in time. */
    readonly unauthenticated: number;
  };
  /** Of `discovery` routes: questions for the node list. */
  readonly configGets?: number;
}

export interface RouteService<R extends Route = Route> {
  accept(socket: Socket): void;
  /**
   * Reads what another route of the same kind needs, and returns what makes it the one that is served from then on:
   * connections to a target that it no longer has are closed, the others live on.
   * @throws when its files can't be read.
   */
  prepare(route: R): Promise<() => void>;
  counters(): RouteCounters;
  /** Closes every connection. */
  close(): void;
}

export interface RouteContext {
  readonly nowMs: () => number;
  readonly lookupSecret: LookupSecret;
  /** Told about things nobody waits for. Holds no secrets. */
  readonly onProblem: (error: Error) => void;
  /** For clients of an `iam` route that must authenticate; half a minute by itself. */
  readonly authenticateWithinMs?: number;
}
