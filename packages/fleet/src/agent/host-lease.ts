/**
 * The agent's side of its lease: while it can't be renewed and not every other host consents, it takes writes away from
 * its primaries in time. What the control plane put in its charge tells whom that concerns: groups that have members on
 * other hosts too. A group that is all here can't be promoted anywhere else, and serves on.
 */
import { randomBytes } from 'node:crypto';
import type { EpochFence } from '../epoch-fence.ts';
import { type Order, StaleOrder } from '../host.ts';
import type { FencedNode } from './fence-node.ts';
import { type GuardedNode, readGuarded, writeGuarded } from './guard.ts';
import {
  breaksPromise,
  type ConsentPromise,
  type ConsentQuestion,
  consentHolder,
  consents,
  leaseHolder,
  leaseTerms,
  promiseAfter,
} from './lease.ts';

/** A group with nodes on this host. */
export interface ChargedGroup {
  /** As orders name it. */
  readonly group: string;
  readonly nodeIds: readonly string[];
  /** Other hosts that have a member which could take over. */
  readonly peers: readonly Peer[];
}

export interface Peer {
  readonly host: string;
  /** Of its agent. */
  readonly url: string;
}

export interface HostLease {
  /** A controller that leads answered `question`, the last it was given. @returns the next one. */
  renew(question: string | undefined): string;
  /** What the host has of which groups, complete. Remembered over a restart. */
  takeCharge(groups: readonly ChargedGroup[]): void;
  /** Another host asks to go on without a controller. */
  consent(question: ConsentQuestion): boolean;
  /** @throws StaleOrder when another host was promised that no such order is carried out now. */
  admit(order: Order): void;
  readonly serves: boolean;
  close(): void;
}

export interface HostLeaseOptions {
  /** Holds the guard's list, the charge and the promises. */
  readonly directory: string;
  readonly fence: EpochFence;
  /** By `machineMs`, which the guard reads too. */
  readonly nowMs: () => number;
  readonly store: ChargeStore;
  /** Nodes of these ids whose process runs. */
  readonly runningNodes: (nodeIds: readonly string[]) => readonly FencedNode[];
  readonly fenceNode: (node: FencedNode) => Promise<unknown>;
  /** Asks another host. Rejects, or is false, when it does not consent. */
  readonly askPeer: (peer: Peer, question: ConsentQuestion) => Promise<boolean>;
  readonly onProblem: (error: Error) => void;
  /** Told what an operator should know. */
  readonly onNotice: (text: string) => void;
}

/** What of it outlives the agent. */
export interface ChargeStore {
  read(): Charge;
  write(charge: Charge): void;
}

export interface Charge {
  readonly groups: readonly ChargedGroup[];
  /** By group. */
  readonly promises: Readonly<Record<string, ConsentPromise>>;
}

const tickMs = 50;
/** How often others are asked for their consent. */
const askEveryMs = 250;
/** How often nodes are fenced while their group may not serve. */
const fenceEveryMs = 500;

export function hostLease(options: HostLeaseOptions): HostLease {
  const { nowMs, fence } = options;
  const holder = leaseHolder(leaseTerms, randomBytes(8).toString('hex'));
  const consent = consentHolder(leaseTerms);
  let { groups, promises } = options.store.read();
  /** Groups that may not serve now: when their nodes were fenced last. */
  const fenced = new Map<string, number>();
  /** Those of them whose nodes are known to take no writes: nothing is left for the guard. */
  const taken = new Set<string>();
  /** When each group's hosts were asked last. */
  const askedAt = new Map<string, number>();
  /** What the agent's last life left: until when it let each node take writes. */
  const inherited = new Map(readGuarded(options.directory).map(({ nodeId, untilMs }) => [nodeId, untilMs]));
  let guarded = '';

  const shared = () => groups.filter(({ peers }) => peers.length > 0);

  function endsAtMs({ group, nodeIds }: ChargedGroup): number {
    // The machine's clock begins anew when it is started: an end far ahead is one of before.
    const latestMs = nowMs() + leaseTerms.leaseMs;
    const left = nodeIds.map((id) => inherited.get(id) ?? 0).filter((endMs) => endMs <= latestMs);
    return Math.max(holder.endsAtMs, consent.endsAtMs(group), ...left);
  }

  async function askPeers({ group, peers }: ChargedGroup): Promise<void> {
    const askedAtMs = nowMs();
    if (askedAtMs - (askedAt.get(group) ?? 0) < askEveryMs) return;
    askedAt.set(group, askedAtMs);
    const question = { group, epoch: fence.highest(group) };
    const answers = await Promise.all(
      peers.map((peer) => options.askPeer(peer, question).catch(() => false)),
    );
    if (answers.every((each) => each)) consent.given(group, askedAtMs);
  }

  /** Again and again while it lasts: a node may have been started, or an order been carried out, while it began. */
  async function takeWritesAway({ group, nodeIds }: ChargedGroup, nowMs: number): Promise<void> {
    const before = fenced.get(group);
    if (before !== undefined && nowMs - before < fenceEveryMs) return;
    fenced.set(group, nowMs);
    if (before === undefined) {
      options.onNotice(
        `No controller renews this host's lease, and not every other host of ${group} consents: its primaries here take no more writes.`,
      );
    }
    try {
      await Promise.all(options.runningNodes(nodeIds).map(options.fenceNode));
      taken.add(group);
    } catch (error) {
      // Again at the next tick; the guard does it otherwise.
      fenced.delete(group);
      throw error;
    }
  }

  function tick(): void {
    const now = nowMs();
    const silent = !holder.hears(now);
    for (const each of shared()) {
      if (silent) void askPeers(each);
      if (now < endsAtMs(each) - leaseTerms.fenceAheadMs) {
        fenced.delete(each.group);
        taken.delete(each.group);
      } else takeWritesAway(each, now).catch(options.onProblem);
    }
    writeGuardedNodes();
  }

  function writeGuardedNodes(): void {
    const nodes: GuardedNode[] = shared()
      .filter(({ group }) => !taken.has(group))
      .flatMap((each) =>
        options.runningNodes(each.nodeIds).map((node) => ({ ...node, untilMs: endsAtMs(each) })),
      );
    const text = JSON.stringify(nodes);
    if (text === guarded) return;
    writeGuarded(options.directory, nodes);
    guarded = text;
  }

  function remember(): void {
    const now = nowMs();
    promises = Object.fromEntries(Object.entries(promises).filter(([, { untilMs }]) => untilMs > now));
    options.store.write({ groups, promises });
  }

  const timer = setInterval(() => {
    try {
      tick();
    } catch (error) {
      options.onProblem(error as Error);
    }
  }, tickMs);

  return {
    renew(question) {
      if (question !== undefined) {
        holder.granted(question);
        // At once: an agent that was away comes back into a lease that the guard still sees ending.
        tick();
      }
      return holder.ask(nowMs());
    },
    takeCharge(next) {
      groups = next;
      remember();
      writeGuardedNodes();
    },
    consent(question) {
      const now = nowMs();
      const hearsController = holder.hears(now);
      if (!consents(question, { hearsController, seenEpoch: fence.highest(question.group) })) return false;
      promises = {
        ...promises,
        [question.group]: promiseAfter(leaseTerms, promises[question.group], question, now),
      };
      remember();
      return true;
    },
    admit({ group, epoch }) {
      if (!breaksPromise(promises[group], epoch, nowMs())) return;
      throw new StaleOrder(
        `An order for ${group} of epoch ${epoch} came while another host may serve under epoch ${promises[group]!.epoch}, as it was promised; it is tried again.`,
      );
    },
    get serves() {
      return holder.serves(nowMs());
    },
    close: () => clearInterval(timer),
  };
}
