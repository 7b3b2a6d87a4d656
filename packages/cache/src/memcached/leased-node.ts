/** One node of the shared tier on memcached: its partition, its beat as this process sees it, its steps. */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { PartitionState } from '../far/partition-state.ts';
import type { Proof } from '../far/read-batcher.ts';
import { type Beat, BeatWatch, encodeBeat, parseBeat } from './beat.ts';
import { MetaServerError, MetaUnavailableError } from './errors.ts';
import type { CasToken } from './meta-client.ts';
import { deleteCommand, getCommand, type MetaCommand, setCommand } from './meta-command.ts';
import type { MetaNode } from './meta-node.ts';
import type { MetaReply } from './meta-parser.ts';

/** A beat as it stood on the node, and what a store must replace. */
export interface StandingBeat {
  readonly beat: Beat;
  readonly token: CasToken;
}

export interface LeasedNodeOptions {
  readonly cache: string;
  readonly node: MetaNode;
  readonly partition: PartitionState;
  readonly clock: Clock;
  readonly boundMs: number;
  /** Of the list of nodes as this process knows it. */
  readonly digest: () => string;
}

/** Nothing may be believed. */
export const noProof: Proof = {
  verdict: 'missing',
  epoch: '',
  applied: '',
  voids: '',
  engineNowMs: Number.NaN,
  replica: false,
};

/** Longer keys travel as their hash. */
const maxPlainKeyBytes = 200;

export class LeasedNode {
  readonly node: MetaNode;
  readonly partition: PartitionState;
  readonly beatKey: string;
  readonly watch = new BeatWatch();
  readonly #o: LeasedNodeOptions;
  #polling = false;

  constructor(options: LeasedNodeOptions) {
    this.#o = options;
    this.node = options.node;
    this.partition = options.partition;
    this.beatKey = `${options.cache}#beat`;
  }

  /** Where an entry lies. Names of caches hold no '#': the beat's key is nobody else's. */
  keyOf(fullKey: string): string {
    const key = `${this.#o.cache}:${fullKey}`;
    const plain = Buffer.byteLength(key) <= maxPlainKeyBytes && /^[\x21-\x7e]*$/.test(key);
    if (plain && !fullKey.startsWith('#')) return key;
    return `${this.#o.cache}:#${createHash('sha256').update(fullKey).digest('base64url')}`;
  }

  /** The beat first, then what `commands` ask for: see beat.ts. Rejects when the node can't be asked. */
  async readBehindBeat(commands: readonly MetaCommand[]): Promise<{
    readonly beat: Beat | undefined;
    readonly connection: number;
    readonly replies: readonly MetaReply[];
  }> {
    const { connection } = this.node;
    const sentAtMs = this.#o.clock.nowMs();
    const [first, ...rest] = await this.node.sendQuiet([getCommand(this.beatKey), ...commands]);
    const replies = rest.map((reply) => {
      if (reply instanceof MetaServerError) throw reply;
      return reply;
    });
    const value = first instanceof MetaServerError ? undefined : first?.value;
    const beat = value === undefined ? undefined : parseBeat(value.toString('latin1'));
    if (beat !== undefined) this.watch.observe(beat, sentAtMs);
    return { beat, connection, replies };
  }

  /** What a beat says of the entries that were found behind it. */
  proofOf(beat: Beat | undefined): Proof {
    const { clock, boundMs, digest } = this.#o;
    const nowMs = clock.nowMs();
    const engineNowMs = this.partition.clock.engineNowMs(nowMs);
    if (beat === undefined || beat.digest !== digest()) {
      return { ...noProof, engineNowMs };
    }
    const fresh = nowMs - this.watch.provenSinceMs(beat) <= boundMs;
    const { epoch, applied, voids } = beat;
    return { verdict: fresh ? 'fresh' : 'stale', epoch, applied, voids, engineNowMs, replica: false };
  }

  get provenAgeMs(): number {
    const age = this.#o.clock.nowMs() - this.watch.newestProvenSinceMs;
    return Number.isFinite(age) ? age : Number.NaN;
  }

  /** Keeps this process's knowledge of the beat's age young. */
  poll(): void {
    if (this.#polling || this.node.connection === 0) return;
    this.#polling = true;
    this.readBehindBeat([])
      .catch(() => {})
      .finally(() => {
        this.#polling = false;
      });
  }

  /** Undefined: there is none. Rejects when the node can't be asked. */
  async standingBeat(): Promise<StandingBeat | undefined> {
    const { connection } = this.node;
    const { value, cas } = await this.node.send(getCommand(this.beatKey, { cas: true }));
    if (value === undefined || cas === undefined) return undefined;
    const token = { cas, connection };
    const beat = parseBeat(value.toString('latin1'));
    // Somebody else's writing under our key is replaced like a beat of another history.
    return {
      beat: beat ?? {
        epoch: '0'.repeat(12),
        counter: 0,
        applied: '0'.repeat(16),
        digest: '0'.repeat(12),
        voids: '',
        history: '',
      },
      token,
    };
  }

  /** @returns the new one's place, or undefined when another stands there by now. */
  async storeBeat(beat: Beat, over: StandingBeat | undefined): Promise<StandingBeat | undefined> {
    const { connection } = this.node;
    const how = over === undefined ? ({ mode: 'add' } as const) : { cas: over.token.cas };
    const command = setCommand(this.beatKey, encodeBeat(beat), { ...how, returnCas: true });
    const { status, cas } = await this.node.send(command, over?.token.connection);
    return status === 'HD' && cas !== undefined ? { beat, token: { cas, connection } } : undefined;
  }

  /** Resolves when the node has removed them, and their leases. */
  async remove(fullKeys: readonly string[]): Promise<void> {
    if (this.node.connection === 0) throw new MetaUnavailableError('The node is down.');
    const commands = fullKeys.map((fullKey) => deleteCommand(this.keyOf(fullKey)));
    for (const reply of await this.node.sendQuiet(commands))
      if (reply instanceof MetaServerError) throw reply;
  }
}
