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

/** Without a master: a group that is gone, kept for its epoch. */
export interface MasterEntry {
  readonly epoch: number;
  readonly master?: SentinelMaster;
}

export class MasterInvalid extends Error {
  override name = 'MasterInvalid';
}

const mostReplicas = 100;

/** Reads an entry from what came over a wire or from a file. @throws MasterInvalid */
export function readMasterEntry(value: unknown): MasterEntry {
  const { epoch, master } = record(value);
  if (!Number.isSafeInteger(epoch) || (epoch as number) < 0) throw new MasterInvalid('epoch is no number.');
  return { epoch: epoch as number, ...(master !== undefined && { master: readMaster(master) }) };
}

function readMaster(value: unknown): SentinelMaster {
  const { name, up, replicas } = record(value);
  // It is put between blanks and commas for clients to read.
  if (typeof name !== 'string' || !/^[A-Za-z0-9._-]{1,200}$/.test(name)) {
    throw new MasterInvalid('name is no name of a group.');
  }
  if (!Array.isArray(replicas) || replicas.length > mostReplicas) {
    throw new MasterInvalid(`replicas must be a list of at most ${mostReplicas}.`);
  }
  return {
    name,
    ...readTarget(value, 'master'),
    up: up === true,
    replicas: replicas.map((each, index) => {
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
