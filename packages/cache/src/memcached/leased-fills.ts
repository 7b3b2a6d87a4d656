/**
 * From a miss to an entry on memcached. A miss makes an empty item with a short life, the lease, and memcached tells
 * exactly one reader that it won. The fill replaces that very item (its CAS number) or nothing: whoever removed the
 * key since has removed the item, and there is none to replace; after a new miss it is another. An item that was
 * evicted or lost in a restart is merely a lost fill. The fill leaves by the connection that the lease came by: a
 * restarted server counts from 1 again.
 *
 * There are no messages on memcached: who waits asks again, every 10 ms.
 */
import type { Acquired, FillAnswer, NewEntry, Place, Token } from '../far/fill-protocol.ts';
import type { PartitionState } from '../far/partition-state.ts';
import type { FillSteps } from '../shared-tier.ts';
import { encodeBeat } from './beat.ts';
import { MetaServerError, MetaTokenError } from './errors.ts';
import type { LeasedNode } from './leased-node.ts';
import { entryText } from './leased-reads.ts';
import type { CasToken } from './meta-client.ts';
import { deleteCommand, getCommand, setCommand } from './meta-command.ts';

interface LeaseToken extends Token {
  readonly lease: CasToken;
}

/** memcached counts whole seconds: the lease ends after one to two. Its holder renews it while it loads. */
const leaseS = 2;
const renewMs = 600;
/** Above, memcached takes a time to live for a date. */
const longestTtlS = 30 * 86_400;
const attempts = 3;

export class LeasedFills implements FillSteps {
  readonly #nodeOf: (partition: PartitionState) => LeasedNode | undefined;

  constructor(nodeOf: (partition: PartitionState) => LeasedNode | undefined) {
    this.#nodeOf = nodeOf;
  }

  async acquire(
    { partition, fullKey }: Place,
    { ignorePresent }: { readonly ignorePresent: boolean },
  ): Promise<Acquired> {
    const node = this.#node(partition);
    const key = node.keyOf(fullKey);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const { beat, connection, replies } = await node.readBehindBeat([
        getCommand(key, { cas: true, vivifyS: leaseS }),
      ]);
      const reply = replies[0]!;
      if (reply.cas === undefined) return { kind: 'none' };
      const text = entryText(reply);
      const { epoch } = node.proofOf(beat);
      if (text === null) {
        if (!reply.won) return { kind: 'busy', holder: '' };
        const lease = { cas: reply.cas, connection };
        if (beat === undefined || epoch === '') {
          this.#giveBack(node, key, lease);
          return { kind: 'none' };
        }
        const token: LeaseToken = {
          owner: '',
          epoch,
          watermark: beat.applied,
          generation: reply.cas,
          tagCount: '0',
          lease,
        };
        return { kind: 'lease', token };
      }
      if (beat === undefined || epoch === '') return { kind: 'none' };
      if (text.startsWith(epoch, 4) && !ignorePresent) {
        return { kind: 'value', text, beat: encodeBeat(beat) };
      }
      // Of no use, and yet in the way of a lease.
      await node.node.send(deleteCommand(key, { cas: reply.cas }), connection);
    }
    return { kind: 'none' };
  }

  async fill({ partition, fullKey }: Place, token: Token, entry: NewEntry): Promise<FillAnswer> {
    const node = this.#node(partition);
    const key = node.keyOf(fullKey);
    const { lease } = token as LeaseToken;
    const ttlS = Math.min(longestTtlS, Math.max(1, Math.ceil(entry.keepForMs / 1_000)));
    try {
      const command = setCommand(key, entry.text, { cas: lease.cas, ttlS });
      const { status } = await node.node.send(command, lease.connection);
      return status === 'HD' ? 'ok' : 'generation';
    } catch (error) {
      if (error instanceof MetaTokenError) return 'epoch';
      // Too large, or no memory: others must not wait for it.
      if (error instanceof MetaServerError) this.#giveBack(node, key, lease);
      throw error;
    }
  }

  /** Whoever waits asks again and gets the lease. */
  release({ partition, fullKey }: Place, token: Token): void {
    const node = this.#nodeOf(partition);
    if (node !== undefined) this.#giveBack(node, node.keyOf(fullKey), (token as LeaseToken).lease);
  }

  /**
   * Renewing names no CAS number, for memcached can't: if the key was removed and filled by another meanwhile, that
   * entry ends early. It costs a load.
   */
  hold({ partition, fullKey }: Place, token: Token): () => void {
    const timer = setInterval(() => {
      const node = this.#nodeOf(partition);
      if (node === undefined) return;
      const touch = getCommand(node.keyOf(fullKey), { value: false, touchS: leaseS });
      node.node.send(touch, (token as LeaseToken).lease.connection).catch(() => {});
    }, renewMs);
    return () => clearInterval(timer);
  }

  #giveBack(node: LeasedNode, key: string, lease: CasToken): void {
    node.node.send(deleteCommand(key, { cas: lease.cas }), lease.connection).catch(() => {});
  }

  #node(partition: PartitionState): LeasedNode {
    const node = this.#nodeOf(partition);
    if (node === undefined) throw new Error('The node has left the list.');
    return node;
  }
}
