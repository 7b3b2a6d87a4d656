/**
 * One node of the shared tier: a command connection, a subscription for the partitions it holds, and a deadline
 * over everything in flight.
 *
 * The deadline is one comparison per tick, not a timer per command: if commands are in flight and nothing came
 * back for `timeoutMs`, the node hangs and the connection is dropped, which rejects them all. What was sent may
 * still be executed; tokens make that harmless.
 */
import type { Clock } from '../clock.ts';
import type { Driver, Link, NodeAddress, Subscriber } from '../driver/driver.ts';
import type { Script } from './scripts.ts';

export interface FarNodeEvents {
  up(node: FarNode): void;
  down(node: FarNode, cause: Error): void;
  subscribed(node: FarNode): void;
  unsubscribed(node: FarNode): void;
  /** A reply said that a slot is elsewhere, or nowhere. */
  moved(): void;
  message(channel: string, text: string): void;
}

export interface FarNodeOptions {
  readonly driver: Driver;
  readonly address: NodeAddress;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly events: FarNodeEvents;
}

export class FarNode {
  readonly address: NodeAddress;
  up = false;
  readonly #options: FarNodeOptions;
  readonly #link: Link;
  readonly #ticker: NodeJS.Timeout;
  #subscriber: Subscriber | undefined;
  #channels = '';
  #inFlight = 0;
  #progressAtMs = 0;
  #overdueTicks = 0;
  readonly #onReply = (): void => {
    this.#inFlight -= 1;
    this.#progressAtMs = this.#options.clock.nowMs();
  };
  readonly #onError = (error: unknown): void => {
    this.#onReply();
    // A demoted primary keeps its connections: leave it, the endpoint points elsewhere by now.
    if (isReply(error, 'READONLY')) this.#link.reset();
    if (isReply(error, 'MOVED') || isReply(error, 'CLUSTERDOWN')) this.#options.events.moved();
  };

  constructor(options: FarNodeOptions) {
    const { driver, address, events } = options;
    this.#options = options;
    this.address = address;
    this.#link = driver.openLink(address, {
      up: () => {
        this.up = true;
        events.up(this);
      },
      down: (cause) => {
        this.up = false;
        // What the subscription hears must come from the same engine as what the commands read.
        this.#subscriber?.reset();
        events.down(this, cause);
      },
    });
    this.#ticker = setInterval(() => this.#checkDeadline(), Math.max(5, options.timeoutMs / 8));
    this.#ticker.unref();
  }

  /** Rejects when the node is down, hangs, or answers with an error. */
  send(args: readonly string[]): Promise<unknown> {
    if (this.#inFlight === 0) this.#progressAtMs = this.#options.clock.nowMs();
    this.#inFlight += 1;
    const reply = this.#link.send(args);
    reply.then(this.#onReply, this.#onError);
    return reply;
  }

  /** Runs a script by its hash, and by its source where the engine doesn't know it yet. */
  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.send(['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      if (!isReply(error, 'NOSCRIPT')) throw error;
      return this.send(['EVAL', script.source, ...rest]);
    }
  }

  /** Hears these channels from now on, and no others. */
  subscribe(channels: readonly string[], sharded: boolean): void {
    const name = channels.join('\n');
    if (name === this.#channels) return;
    this.#channels = name;
    this.#subscriber?.close();
    this.#subscriber = undefined;
    const { driver, address, events } = this.#options;
    if (channels.length === 0) return;
    this.#subscriber = driver.openSubscriber(
      address,
      { channels, sharded },
      {
        up: () => events.subscribed(this),
        down: () => events.unsubscribed(this),
        message: (channel, text) => events.message(channel, text),
      },
    );
  }

  reset(): void {
    this.#link.reset();
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#subscriber?.close();
    this.#link.close();
  }

  #checkDeadline(): void {
    const { clock, timeoutMs } = this.#options;
    const overdue = this.#inFlight > 0 && clock.nowMs() - this.#progressAtMs > timeoutMs;
    // Twice, because the first tick after a stall of this very process comes before the replies are read.
    this.#overdueTicks = overdue ? this.#overdueTicks + 1 : 0;
    if (this.#overdueTicks < 2) return;
    this.#overdueTicks = 0;
    this.#link.reset();
  }
}

/** Is it an error that the engine replied with, of this kind? */
export function isReply(error: unknown, kind: string): boolean {
  return error instanceof Error && error.message.startsWith(kind);
}
