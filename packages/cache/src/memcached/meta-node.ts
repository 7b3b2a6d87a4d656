/**
 * One memcached for as long as the client knows it: a connection that is replaced when it breaks, and one deadline
 * over everything in flight (as in far/far-node.ts): when commands are in flight and nothing came back for
 * `timeoutMs`, the node hangs, and the connection is dropped. What was sent may still be done.
 */
import type { Clock } from '../clock.ts';
import type { NodeAddress } from '../driver/driver.ts';
import { type KeptConnection, keepConnected } from '../driver/keep-connected.ts';
import { MetaAuthenticationError, MetaTokenError, MetaUnavailableError } from './errors.ts';
import type { MetaCommand } from './meta-command.ts';
import { MetaConnection, type MetaConnectionOptions, type QuietReplies } from './meta-connection.ts';
import type { MetaReply, MetaStatus } from './meta-parser.ts';

export interface MetaNodeEvents {
  /** `connection` numbers it: CAS tokens are good for one connection only. */
  up(node: MetaNode): void;
  down(node: MetaNode, cause: Error): void;
}

export interface MetaNodeOptions
  extends Pick<MetaConnectionOptions, 'node' | 'tls' | 'credentials' | 'maxValueBytes'> {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly events: MetaNodeEvents;
}

/** Runs over the whole process: a token of one node never looks like another's. */
let connections = 0;

export class MetaNode {
  readonly address: NodeAddress;
  /** 0 while there is none. */
  connection = 0;
  readonly #options: MetaNodeOptions;
  readonly #kept: KeptConnection<MetaConnection>;
  readonly #ticker: NodeJS.Timeout;
  #progressAtMs = 0;
  #overdueTicks = 0;
  #lastError: Error | undefined;

  /** Why it isn't connected. */
  get refusal(): Error | undefined {
    return this.connection === 0 ? this.#lastError : undefined;
  }

  constructor(options: MetaNodeOptions) {
    this.#options = options;
    const { node, events, clock, timeoutMs, tls, credentials, maxValueBytes } = options;
    this.address = node;
    const progress = (): void => {
      this.#progressAtMs = clock.nowMs();
    };
    this.#kept = keepConnected<MetaConnection>({
      node,
      events: {
        up: () => {
          connections += 1;
          this.connection = connections;
          this.#lastError = undefined;
          events.up(this);
        },
        down: (cause) => {
          this.connection = 0;
          events.down(this, cause);
        },
      },
      create: (fail) => {
        const failed = (cause: Error): void => {
          this.#lastError = cause;
          fail(cause);
        };
        return new MetaConnection({ node, tls, credentials, maxValueBytes, fail: failed, progress });
      },
      start: async (connection) => {
        try {
          await connection.start();
        } catch (error) {
          if (error instanceof Error) this.#lastError = error;
          throw error;
        }
      },
      destroy: (connection) => connection.destroy(new MetaUnavailableError('The connection was given up.')),
    });
    this.#ticker = setInterval(() => this.#checkDeadline(), Math.max(5, timeoutMs / 8));
    this.#ticker.unref();
  }

  /**
   * @param connection the one that it must go over: that of a CAS token.
   * Rejects with MetaTokenError when that connection is gone, else with MetaUnavailableError,
   * MetaAuthenticationError, MetaProtocolError or MetaServerError.
   */
  send(command: MetaCommand, connection?: number): Promise<MetaReply> {
    if (connection !== undefined && connection !== this.connection) return Promise.reject(this.#outdated());
    return this.#with((usable) => usable.send(command));
  }

  sendQuiet(commands: readonly MetaCommand[], connection?: number): Promise<QuietReplies> {
    if (connection !== undefined && connection !== this.connection) return Promise.reject(this.#outdated());
    if (commands.length === 0) return Promise.resolve([]);
    return this.#with((usable) => usable.sendQuiet(commands));
  }

  sendText(line: string, status: MetaStatus): Promise<MetaReply> {
    return this.#with((usable) => usable.sendText(line, status));
  }

  sendRetrieval(line: string): Promise<readonly MetaReply[]> {
    return this.#with((usable) => usable.sendRetrieval(line));
  }

  /** Drops the connection and connects anew. */
  reset(): void {
    this.#kept.reset();
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#kept.close();
  }

  #with<T>(send: (connection: MetaConnection) => Promise<T>): Promise<T> {
    const usable = this.#kept.current();
    if (usable === undefined) return Promise.reject(this.#down());
    if (usable.inFlight === 0) this.#progressAtMs = this.#options.clock.nowMs();
    return send(usable);
  }

  #down(): Error {
    const cause = this.#lastError;
    // Waiting won't help: the caller must hear what would.
    if (cause instanceof MetaAuthenticationError) return cause;
    const { host, port } = this.address;
    return new MetaUnavailableError(`memcached ${host}:${port} is down.`, { cause });
  }

  #outdated(): MetaTokenError {
    const { host, port } = this.address;
    return new MetaTokenError(
      `The CAS token is of an earlier connection to ${host}:${port}; get the item again.`,
    );
  }

  #checkDeadline(): void {
    const { clock, timeoutMs } = this.#options;
    const inFlight = this.#kept.current()?.inFlight ?? 0;
    const overdue = inFlight > 0 && clock.nowMs() - this.#progressAtMs > timeoutMs;
    // Twice, because the first tick after a stall of this very process comes before the replies are read.
    this.#overdueTicks = overdue ? this.#overdueTicks + 1 : 0;
    if (this.#overdueTicks < 2) return;
    this.#overdueTicks = 0;
    this.#kept.reset();
  }
}
