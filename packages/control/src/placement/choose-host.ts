/** (pure) Which host a node is placed on. */
import type { JoinedHost } from '../host/joined-host.ts';

export interface HostQuestion {
  /** Those that nodes can be started on. */
  readonly hosts: readonly JoinedHost[];
  /** How many nodes each has. */
  readonly nodes: ReadonlyMap<string, number>;
  readonly zone: string;
  readonly apartFrom: readonly string[];
}

/** In the zone; one without a copy of the same data before one with; then the one with the fewest nodes. */
export function chooseHost({ hosts, nodes, zone, apartFrom }: HostQuestion): JoinedHost | undefined {
  const copies = ({ name }: JoinedHost) => apartFrom.filter((each) => each === name).length;
  const count = ({ name }: JoinedHost) => nodes.get(name) ?? 0;
  return hosts
    .filter((host) => host.zone === zone)
    .sort((a, b) => copies(a) - copies(b) || count(a) - count(b) || a.name.localeCompare(b.name))[0];
}
