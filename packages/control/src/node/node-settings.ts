/** (pure) From what one node is set to and what it is to be set to, to the steps between. */
import { type AclUser, digestUsers } from '@larder/engine/acl';
import type { NodeSettings, Ports } from '@larder/fleet/host';
import type { ParameterStatus, WantedNode } from './wanted-node.ts';

export type SettingStep = { readonly because: string } & (
  | {
      readonly kind: 'configure';
      readonly parameters: Readonly<Record<string, string>>;
      /** Nobody asked for the values it has: somebody changed the node by hand. */
      readonly drift: boolean;
    }
  | { readonly kind: 'set-users'; readonly users: readonly AclUser[] }
  | { readonly kind: 'set-ports'; readonly ports: Ports }
  | { readonly kind: 'renew-certificate' }
);

export interface NodeSettingsPlan {
  readonly steps: readonly SettingStep[];
  readonly parameterStatus: ParameterStatus;
}

/** A certificate is renewed when it has less than this to live. */
export const renewBeforeMs = 30 * 24 * 3_600_000;

/** @param expectsChange something was asked for since the node was last seen in order: a difference is no drift. */
export function planNodeSettings(
  seen: NodeSettings,
  want: WantedNode,
  expectsChange: boolean,
  nowMs: number,
): NodeSettingsPlan {
  const steps: SettingStep[] = [];
  const { live, atStart } = differingParameters(want, seen.parameters);
  const names = Object.keys(live);
  if (names.length > 0) {
    const because = `it differs in ${names.join(', ')}`;
    steps.push({ kind: 'configure', parameters: live, drift: !expectsChange, because });
  }
  if (seen.users !== digestUsers(want.users)) {
    steps.push({ kind: 'set-users', users: want.users, because: 'its users are others' });
  }
  if (seen.plainPort !== want.plainPort || seen.tlsPort !== want.tlsPort) {
    const ports = { plainPort: want.plainPort, tlsPort: want.tlsPort };
    steps.push({ kind: 'set-ports', ports, because: 'encryption in transit was changed' });
  } else if ((seen.certificateEndsAtMs ?? Number.POSITIVE_INFINITY) < nowMs + renewBeforeMs) {
    steps.push({ kind: 'renew-certificate', because: 'its certificate ends soon' });
  }
  return {
    steps,
    parameterStatus: names.length > 0 ? 'applying' : atStart.length > 0 ? 'pending-reboot' : 'in-sync',
  };
}

/** @returns those that can be set now, with their values, and the names of those that only a start can change. */
export function differingParameters(
  {
    parameters,
    atStart,
    maxmemoryBytes,
    maxConnections,
  }: Pick<WantedNode, 'parameters' | 'atStart' | 'maxmemoryBytes' | 'maxConnections'>,
  seen: Readonly<Record<string, string>>,
): { readonly live: Record<string, string>; readonly atStart: string[] } {
  const live: Record<string, string> = {};
  const waiting: string[] = [];
  const wanted = {
    ...parameters,
    maxmemory: String(maxmemoryBytes),
    maxclients: String(maxConnections),
  };
  for (const [name, value] of Object.entries(wanted)) {
    // What the engine does not know it can't be asked to change.
    if (seen[name] === undefined || seen[name] === value) continue;
    if (atStart.has(name)) waiting.push(name);
    else live[name] = value;
  }
  return { live, atStart: waiting };
}
