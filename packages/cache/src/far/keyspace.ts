/**
 * What lives in the shared tier beside definitions (sessions, boards, counters): keys of one kind, spread over the
 * partitions like all others. Names begin with '#', as no definition's can, so nothing collides.
 *
 *   {tag}#<kind>:<name>:<id>[#<part>]    parts of one thing share a slot, and so a script
 *
 * There is no database behind these, so a call that finds its node down may wait for it: a failover takes a moment.
 */
import type { DefinitionHost } from '../definition.ts';
import { SharedTierError } from '../errors.ts';
import type { PartitionState } from './partition-state.ts';
import type { Script } from './script.ts';

/** Where one thing lies. */
export interface Spot {
  readonly partition: PartitionState;
  readonly key: string;
}

const retryMs = 10;
/** What an engine answers while a failover or a move of slots is under way. */
const passing = /^(READONLY|MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|UNBLOCKED)/;
/** An engine's answer begins with a word in capitals; what a driver says of a broken connection doesn't. */
const answered = /^[A-Z]{3,} /;

export class Keyspace {
  readonly #host: DefinitionHost;
  readonly #prefix: string;
  readonly #patienceMs: number;

  /**
   * @param prefix `#<kind>:<name>:`
   * @param patienceMs how long a call waits for a node that is down. What may have been executed before a connection
   * broke is sent again then: every step must bear that. 0: never sent twice.
   */
  constructor(host: DefinitionHost, prefix: string, patienceMs: number) {
    this.#host = host;
    this.#prefix = prefix;
    this.#patienceMs = patienceMs;
  }

  get partitions(): readonly PartitionState[] {
    return this.#host.far.partitions;
  }

  spot(id: string): Spot {
    const name = this.#prefix + id;
    const { partitions } = this.#host.far;
    const partition = partitions.length === 1 ? partitions[0]! : this.#host.far.partitionOfKey(name);
    return { partition, key: partition.keys.tag + name };
  }

  /** For SCAN; names may not hold what a pattern understands. */
  pattern(partition: PartitionState): string {
    return `${partition.keys.tag}${this.#prefix}*`;
  }

  /** One round trip. Rejects with SharedTierError. */
  run(
    partition: PartitionState,
    script: Script,
    call: { readonly keys: readonly string[]; readonly args: readonly string[] },
  ): Promise<unknown> {
    return this.#patiently(partition, () => this.#host.far.run(partition, script, call));
  }

  /** One round trip. Rejects with SharedTierError. */
  send(partition: PartitionState, words: readonly string[]): Promise<unknown> {
    return this.#patiently(partition, () => this.#host.far.send(partition, words));
  }

  /** Written so that a step that succeeds costs one promise more than the step. */
  #patiently(partition: PartitionState, step: () => Promise<unknown>): Promise<unknown> {
    const first = partition.session === 0 ? Promise.reject(new Error('It is not connected.')) : step();
    return first.catch((error: unknown) => this.#again(partition, step, error));
  }

  async #again(partition: PartitionState, step: () => Promise<unknown>, first: unknown): Promise<unknown> {
    const { clock } = this.#host;
    const untilMs = clock.nowMs() + this.#patienceMs;
    let error = first;
    for (;;) {
      const message = error instanceof Error ? error.message : String(error);
      if (answered.test(message) && !passing.test(message)) {
        throw new SharedTierError(`The shared tier refused the step: ${message}`, { cause: error });
      }
      const leftMs = untilMs - clock.nowMs();
      if (leftMs <= 0) {
        throw new SharedTierError('The shared tier is down or did not answer.', { cause: error });
      }
      await this.#change(Math.min(leftMs, retryMs));
      if (partition.session === 0) continue;
      try {
        return await step();
      } catch (next) {
        error = next;
      }
    }
  }

  #change(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, atMostMs);
      const stop = this.#host.far.onChange(done);
    });
  }
}
