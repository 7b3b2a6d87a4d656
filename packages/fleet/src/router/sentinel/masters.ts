/**
 * (pure) What clients of Sentinel are told: of each group its primary and its replicas, under the group's name. It is
 * decided by the control plane; each entry carries the epoch of the decision that made it.
 */
import { readTarget, type Target } from '../route-table.ts';

export interface SentinelReplica extends Target {
  readonly up: boolean;
  /** It follows the primary. */
  readonly linkUp: boolean;
}

/** Members' own addresses: a client that is told of another primary must find another one there. */
export interface SentinelMaster extends Target {
  /** What clients ask for: the group's id. */
  readonly name: string;
  readonly up: boolean;
  readonly replicas: readonly SentinelReplica[];
}

/** Endpoints that are names, each with the addresses of the nodes that it leads to now. */
export interface EndpointNames {
  /** All the names are in it. */
  readonly zone: string;
  readonly records: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

/** With neither: a group that is gone, kept for its epoch. */
export interface MasterEntry {
  readonly epoch: number;
  /** Of a group without cluster mode. */
  readonly master?: SentinelMaster;
  /** Of a group whose endpoints are names. */
  readonly names?: EndpointNames;
}

export class MasterInvalid extends Error {
  override name = 'MasterInvalid';
}

const mostReplicas = 100;
const mostNames = 10;
const mostAddresses = 16;
const ipv4 = /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/;

/** Reads an entry from what came over a wire or from a file. @throws MasterInvalid */
export function readMasterEntry(value: unknown): MasterEntry {
  const { epoch, master, names } = record(value);
  if (!Number.isSafeInteger(epoch) || (epoch as number) < 0) throw new MasterInvalid('epoch is no number.');
  return {
    epoch: epoch as number,
    ...(master !== undefined && { master: readMaster(master) }),
    ...(names !== undefined && { names: readNames(names) }),
  };
}

function readNames(value: unknown): EndpointNames {
  const { zone, records } = record(value);
  return {
    zone: readName(zone, 'zone'),
    records: readList(records, 'records', mostNames).map((each) => {
      const { name, addresses } = record(each);
      return {
        name: readName(name, 'name'),
        addresses: readList(addresses, 'addresses', mostAddresses).map((address) => {
          if (typeof address === 'string' && ipv4.test(address)) return address;
          throw new MasterInvalid('addresses must be IPv4 addresses.');
        }),
      };
    }),
  };
}

function readName(value: unknown, at: string): string {
  if (
    typeof value === 'string' &&
    value.length <= 253 &&
    /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/.test(value)
  ) {
    return value;
  }
  throw new MasterInvalid(`${at} is no name of the domain name system.`);
}

function readList(value: unknown, at: string, most: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw new MasterInvalid(`${at} must be a list of at most ${most}.`);
}

function readMaster(value: unknown): SentinelMaster {
  const { name, up, replicas } = record(value);
  // It is put between blanks and commas for clients to read.
  if (typeof name !== 'string' || !/^[A-Za-z0-9._-]{1,200}$/.test(name)) {
    throw new MasterInvalid('name is no name of a group.');
  }
  return {
    name,
    ...readTarget(value, 'master'),
    up: up === true,
    replicas: readList(replicas, 'replicas', mostReplicas).map((each, index) => {
      const replica = record(each);
      const place = readTarget(each, `replicas[${index}]`);
      return { ...place, up: replica.up === true, linkUp: replica.linkUp === true };
    }),
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new MasterInvalid('It must be an object.');
}

/** One message on a channel of that name, as Sentinel writes it. */
export interface SentinelEvent {
  readonly channel: string;
  readonly text: string;
}

/** What subscribers hear when a group's entry changes. */
export function eventsBetween(
  before: SentinelMaster | undefined,
  after: SentinelMaster | undefined,
): SentinelEvent[] {
  if (after === undefined) {
    return before === undefined ? [] : [{ channel: '-monitor', text: ofMaster(before) }];
  }
  if (before === undefined) return [{ channel: '+monitor', text: `${ofMaster(after)} quorum 1` }];
  const events: SentinelEvent[] = [];
  const moved = before.address !== after.address || before.port !== after.port;
  if (moved) {
    const [from, to] = [before, after].map(({ address, port }) => `${address} ${port}`);
    events.push({ channel: '+switch-master', text: `${after.name} ${from} ${to}` });
  }
  if ((moved || before.up) && !after.up) {
    events.push({ channel: '+sdown', text: ofMaster(after) });
    events.push({ channel: '+odown', text: `${ofMaster(after)} #quorum 1/1` });
  } else if (!moved && !before.up && after.up) {
    events.push({ channel: '-sdown', text: ofMaster(after) });
    events.push({ channel: '-odown', text: ofMaster(after) });
  }
  for (const replica of after.replicas) {
    const text = ofReplica(replica, after);
    const known = moved ? undefined : before.replicas.find((each) => samePlace(each, replica));
    if (known === undefined) events.push({ channel: '+slave', text });
    if (known?.up !== false && !replica.up) events.push({ channel: '+sdown', text });
    if (known?.up === false && replica.up) events.push({ channel: '-sdown', text });
  }
  return events;
}

function ofMaster({ name, address, port }: SentinelMaster): string {
  return `master ${name} ${address} ${port}`;
}

function ofReplica({ address, port }: SentinelReplica, master: SentinelMaster): string {
  return `slave ${address}:${port} ${address} ${port} @ ${master.name} ${master.address} ${master.port}`;
}

function samePlace(one: Target, other: Target): boolean {
  return one.address === other.address && one.port === other.port;
}
