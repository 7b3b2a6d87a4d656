/** (pure) What a client of memcached can be told, checked. */
import type { Clock } from '../clock.ts';
import type { NodeAddress } from '../driver/driver.ts';
import { MetaArgumentError } from './errors.ts';
import type { RingServer } from './ketama.ts';

export interface MetaClientSettings {
  /** Where the keys lie, or else `configurationEndpoint`. The order doesn't matter, the names do: see ketama.ts. */
  readonly servers?: readonly RingServer[];
  /** ElastiCache's: it tells the nodes, and tells again when they change. */
  readonly configurationEndpoint?: NodeAddress;
  /** Between questions to the configuration endpoint. Default 60,000, at least 100. */
  readonly discoveryMs?: number;
  /** Connect to the addresses of the node list instead of its names; keys are placed by names all the same. */
  readonly discoverByIp?: boolean;
  /** true, or options of `tls.connect`. */
  readonly tls?: boolean | { readonly [option: string]: unknown };
  /** As in memcached's auth file (`-Y`). SASL's binary protocol has no meta commands. */
  readonly username?: string;
  readonly password?: string;
  /** A node that doesn't answer for this long is given up, and connected anew. Default 200, at least 10. */
  readonly timeoutMs?: number;
  /** A longer value breaks the connection: memcached's own limit is 1 MiB unless `-I` says more. Default 8 MiB. */
  readonly maxValueBytes?: number;
  readonly clock?: Clock;
  readonly events?: Partial<MetaClientEvents>;
}

export interface MetaClientEvents {
  nodeUp(node: NodeAddress): void;
  nodeDown(node: NodeAddress, cause: Error): void;
  /** The nodes are others now, sorted by name. */
  nodesChanged(nodes: readonly NodeAddress[]): void;
  /** The configuration endpoint couldn't be asked. */
  discoveryFailed(error: Error): void;
}

export function nodeName({ host, port }: NodeAddress): string {
  return `${host}:${port}`;
}

/** Throws MetaArgumentError. */
export function checkSettings(settings: MetaClientSettings): void {
  const { servers, configurationEndpoint, username, password } = settings;
  const refuse = (message: string): never => {
    throw new MetaArgumentError(message);
  };
  if ((servers === undefined) === (configurationEndpoint === undefined)) {
    refuse('Give `servers`, or `configurationEndpoint`, and not both.');
  }
  const addresses = servers ?? [configurationEndpoint!];
  if (addresses.length === 0) refuse('`servers` names no server.');
  for (const { host, port } of addresses) {
    if (typeof host !== 'string' || host === '' || !Number.isSafeInteger(port) || port < 1 || port > 65_535) {
      refuse('A server is `{ host, port }`, the port from 1 to 65535.');
    }
  }
  if (new Set(addresses.map(nodeName)).size < addresses.length) refuse('`servers` names a server twice.');
  for (const { weight = 1 } of servers ?? []) {
    if (!(weight > 0 && Number.isFinite(weight))) refuse('A `weight` must be a positive number.');
  }
  if ((username === undefined) !== (password === undefined)) refuse('Give both `username` and `password`.');
  if (username !== undefined && !(/^[^\s:]+$/.test(username) && /^\S+$/.test(password!))) {
    refuse(
      '`username` takes no blanks and no colons, `password` no blanks: memcached has no place for them.',
    );
  }
  atLeast('discoveryMs', settings.discoveryMs, 100);
  atLeast('timeoutMs', settings.timeoutMs, 10);
  atLeast('maxValueBytes', settings.maxValueBytes, 1);

  function atLeast(name: string, value: number | undefined, least: number): void {
    if (value === undefined || (Number.isFinite(value) && value >= least && value <= 2 ** 31 - 1)) return;
    refuse(`\`${name}\` must be a number from ${least} to ${2 ** 31 - 1}.`);
  }
}
