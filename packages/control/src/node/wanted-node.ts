/** (pure) What a node is to be set to, apart from its role: computed afresh for each pass from what is written down. */
import type { AclUser } from '@larder/engine/acl';
import type { Ports } from '@larder/fleet/host';
import type { ServiceIntent } from './service-intent.ts';

/** How far a node has taken its parameters on. */
export type ParameterStatus = 'in-sync' | 'applying' | 'pending-reboot';

export interface WantedNode extends Ports {
  readonly maxmemoryBytes: number;
  readonly maxConnections: number;
  /** Directive -> value, in the engine's own spelling. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Those among them that only a start can change. */
  readonly atStart: ReadonlySet<string>;
  /** Every user of the engine, the service's own among them. */
  readonly users: readonly AclUser[];
  readonly replication: { readonly user: string; readonly password: string };
}

/**
 * What the engine itself listens on. Where the router stands before it, to take both kinds of clients on one port
 * or to check tokens, the engine gives that port to the router and takes the ones above it.
 */
export function portsOf(intent: Pick<ServiceIntent, 'port' | 'transit'>, checksTokens: boolean): Ports {
  switch (intent.transit) {
    case 'none':
      return { plainPort: intent.port, tlsPort: 0 };
    case 'preferred':
      return { plainPort: intent.port + 1, tlsPort: intent.port + 2 };
    case 'required':
      return { plainPort: 0, tlsPort: checksTokens ? intent.port + 2 : intent.port };
  }
}
