/**
 * How a replica follows: it asks to go on from its offset, gets what it lacks or a whole copy, and then the stream,
 * in order and some time after the primary has acknowledged it.
 */
import type { Engine } from './engine.ts';

export interface Link {
  readonly primary: Engine;
  readonly replica: Engine;
  up: boolean;
  /** After a whole copy the primary holds its stream back until the replica was heard of. */
  streaming: boolean;
  acknowledged: boolean;
  /** Something is on its way. */
  delivering: boolean;
  /** Nothing arrives by it any more. */
  cut: boolean;
}

/** How often a replica without a link tries again. */
const reconnectMs = 1_000;
/** A replica tells how far it is by itself so often. */
const acknowledgeEveryMs = 1_000;
const retransmitMs = 60;
/** The primary no longer has what a replica lacks. */
const backlogLost = 0.05;

export function connectSoon(replica: Engine, delayMs = replica.world.random.next() * 5): void {
  replica.later(delayMs, () => connect(replica));
}

function connect(replica: Engine): void {
  const { world, source } = replica;
  if (source === undefined || replica.link !== undefined || replica.role !== 'replica') return;
  const primary = world.engineAt(source.address);
  const answers =
    primary?.runs === true &&
    primary !== replica &&
    !primary.loading &&
    !follows(primary, replica) &&
    (primary.role === 'primary' || primary.link?.up === true) &&
    world.network.connected(replica.start.machine, primary.start.machine);
  if (!answers) {
    connectSoon(replica, reconnectMs * (0.2 + 0.8 * world.random.next()));
    return;
  }
  const link: Link = {
    primary,
    replica,
    up: false,
    streaming: false,
    acknowledged: false,
    delivering: false,
    cut: false,
  };
  replica.link = link;
  primary.followers.push(link);
  const roundTripMs = 2 * world.network.delayMs();
  const whole = goesOn(replica, primary) ? undefined : [...primary.log];
  const history = primary.replicationId;
  if (whole === undefined) {
    world.trace.count('replication: went on from its offset');
    replica.later(roundTripMs, () => {
      if (link.cut) return;
      if (replica.replicationId !== history) {
        replica.previousReplicationId = replica.replicationId;
        replica.previousOffset = replica.log.length;
        replica.replicationId = history;
      }
      link.streaming = true;
      begin(link);
    });
    return;
  }
  world.trace.count('replication: whole copy');
  replica.resumable = false;
  const transferMs = 2 + world.random.next() * (world.random.chance(0.2) ? 400 : 20);
  replica.later(roundTripMs + transferMs, () => {
    if (link.cut) return;
    // It is on the replica's disk: what it had is given up, and the copy read even if the primary ends meanwhile.
    replica.loading = true;
    replica.later(1 + world.random.next() * (world.random.chance(0.2) ? 200 : 10), () => {
      replica.loading = false;
      replica.replicationId = history;
      replica.previousReplicationId = '0'.repeat(40);
      replica.previousOffset = -1;
      replica.resumable = true;
      replica.replaceData(whole);
      if (link.cut) connectSoon(replica);
      else begin(link);
    });
  });
}

/** Whether this one, or whom it follows, follows the other: a circle has no data to give. */
function follows(engine: Engine, other: Engine): boolean {
  for (let at: Engine | undefined = engine, hops = 0; at !== undefined && hops < 8; hops += 1) {
    if (at === other) return true;
    at = at.link?.primary;
  }
  return false;
}

/** The rule of PSYNC. */
function goesOn(replica: Engine, primary: Engine): boolean {
  const offset = replica.log.length;
  if (!replica.resumable || replica.world.random.chance(backlogLost)) return false;
  if (replica.replicationId === primary.replicationId) return offset <= primary.log.length;
  return replica.replicationId === primary.previousReplicationId && offset <= primary.previousOffset;
}

function begin(link: Link): void {
  link.up = true;
  acknowledge(link, link.replica.world.random.next() * acknowledgeEveryMs);
  pump(link);
}

/** The primary hears of the replica after so long. */
export function acknowledge(link: Link, delayMs: number): void {
  if (link.acknowledged || !link.up) return;
  link.replica.later(delayMs, () => {
    if (link.cut || !link.up || !link.primary.lives) return;
    if (!connected(link)) return acknowledge(link, acknowledgeEveryMs);
    link.acknowledged = true;
    link.streaming = true;
    pump(link);
  });
}

/** Sends what the primary has and the replica lacks. */
export function pump(link: Link): void {
  const { primary, replica } = link;
  if (link.cut || !link.up || !link.streaming || link.delivering) return;
  const { log } = primary;
  const upTo = log.length;
  if (replica.log.length >= upTo) return;
  link.delivering = true;
  const deliver = (): void => {
    if (link.cut) return;
    if (!connected(link)) {
      replica.later(retransmitMs, deliver);
      return;
    }
    link.delivering = false;
    while (replica.log.length < upTo) replica.append(log[replica.log.length]!);
    pump(link);
  };
  replica.later(replica.world.network.streamDelayMs(), deliver);
}

/** The one end closes it; the other learns of it as soon as the network lets it, and believes in it until then. */
export function breakLink(link: Link, by: 'primary' | 'replica'): void {
  const { primary, replica } = link;
  link.cut = true;
  primary.followers = primary.followers.filter((each) => each !== link);
  if (by === 'primary' && !connected(link)) {
    replica.later(retransmitMs * 4, () => breakLink(link, by));
    return;
  }
  link.up = false;
  if (replica.link !== link) return;
  replica.link = undefined;
  if (replica.lives && replica.role === 'replica' && !replica.loading) connectSoon(replica);
}

function connected({ primary, replica }: Link): boolean {
  return replica.world.network.connected(primary.start.machine, replica.start.machine);
}
