/**
 * One connection to one memcached. Replies are told apart by their order; those of quiet commands, which are
 * silent about what is usual, by the number each carries (`O`). A run of quiet commands always ends with `mn`:
 * whoever hasn't answered before its MN had nothing to say.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connectTimeoutMs, type NodeAddress } from '../driver/driver.ts';
import {
  MetaAuthenticationError,
  MetaProtocolError,
  MetaServerError,
  MetaUnavailableError,
} from './errors.ts';
import { encodeCommand, type MetaCommand, type MetaVerb, noopCommand } from './meta-command.ts';
import { MetaParser, type MetaReply, type MetaStatus, replyOf } from './meta-parser.ts';

export interface MetaConnectionOptions {
  readonly node: NodeAddress;
  /** true, or options of `tls.connect`. */
  readonly tls: boolean | { readonly [option: string]: unknown };
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  readonly maxValueBytes: number;
  /** Its connection broke; everything in flight is rejected already. */
  readonly fail: (cause: Error) => void;
  /** Something came back. */
  readonly progress: () => void;
}

/** Of a quiet run: what each command answered; a silent one has the reply that its kind leaves out. */
export type QuietReplies = readonly (MetaReply | MetaServerError)[];

interface Expected {
  /** @returns true when it waits for nothing more. Throws MetaProtocolError. */
  readonly take: (reply: MetaReply) => boolean;
  readonly reject: (cause: Error) => void;
}

const answers: Readonly<Record<MetaVerb, ReadonlySet<MetaStatus>>> = {
  mg: new Set<MetaStatus>(['VA', 'HD', 'EN']),
  ms: new Set<MetaStatus>(['HD', 'NS', 'EX', 'NF']),
  md: new Set<MetaStatus>(['HD', 'NF', 'EX']),
  ma: new Set<MetaStatus>(['HD', 'VA', 'NF', 'NS', 'EX']),
  me: new Set<MetaStatus>(['ME', 'EN']),
  mn: new Set<MetaStatus>(['MN']),
};
const silent: Readonly<Record<MetaVerb, MetaStatus>> = {
  mg: 'EN',
  ms: 'HD',
  md: 'HD',
  ma: 'HD',
  me: 'EN',
  mn: 'MN',
};
const maxInFlight = 65_536;

export class MetaConnection {
  readonly #options: MetaConnectionOptions;
  readonly #socket: Socket;
  readonly #expected: Expected[] = [];
  #first = 0;
  #corked = false;
  /** Why it ended. */
  #cause: Error | undefined;

  constructor(options: MetaConnectionOptions) {
    this.#options = options;
    const { node, tls } = options;
    this.#socket =
      tls === false
        ? connectPlain({ host: node.host, port: node.port })
        : connectTls({
            host: node.host,
            port: node.port,
            ...(isIP(node.host) === 0 ? { servername: node.host } : {}),
            ...(tls === true ? {} : tls),
          });
    this.#socket.setNoDelay(true);
    this.#socket.setTimeout(connectTimeoutMs, () =>
      this.#end(new MetaUnavailableError('No connection in time.')),
    );
    const parser = new MetaParser(options.maxValueBytes, (reply) => this.#take(reply));
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        parser.push(chunk);
      } catch (error) {
        this.#end(error instanceof Error ? error : new MetaProtocolError(String(error)));
      }
    });
    this.#socket.on('error', (cause) =>
      this.#end(new MetaUnavailableError(`The connection broke: ${cause.message}`, { cause })),
    );
    this.#socket.on('close', () => this.#end(new MetaUnavailableError('The connection ended.')));
  }

  get inFlight(): number {
    return this.#expected.length - this.#first;
  }

  /** Resolves when the server has answered a first command, and taken the credentials if there are any. */
  async start(): Promise<void> {
    const { tls, credentials } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#socket.once(tls === false ? 'connect' : 'secureConnect', () => resolve());
      this.#socket.once('close', () => reject(this.#cause));
    });
    this.#socket.setTimeout(0);
    if (credentials !== undefined) await this.#authenticate(credentials);
    try {
      await this.send(noopCommand);
    } catch (error) {
      if (!(error instanceof MetaServerError)) throw error;
      throw error.kind === 'CLIENT_ERROR' && error.message.includes('unauthenticated')
        ? new MetaAuthenticationError('The server asks for credentials: give `username` and `password`.')
        : new MetaProtocolError(
            `The server doesn't speak the meta protocol: memcached 1.6 does. ${error.message}`,
          );
    }
  }

  /** Sends now. Rejects with MetaServerError, or with what broke the connection. */
  send(command: MetaCommand): Promise<MetaReply> {
    const allowed = answers[command.verb];
    return this.#exchange(encodeCommand(command), (reply) => {
      if (!allowed.has(reply.status)) throw unexpected(command.verb, reply);
      return reply;
    });
  }

  /**
   * Sends all of them at once, quiet, and answers when the server has done them all. A refused one is told apart
   * only if it is a reply; error lines carry no number, so with one among them every command that said nothing
   * counts as refused.
   */
  sendQuiet(commands: readonly MetaCommand[]): Promise<QuietReplies> {
    const parts = commands.flatMap((command, index) => encodeCommand(command, ` q O${index}`));
    const replies: (MetaReply | MetaServerError | undefined)[] = commands.map(() => undefined);
    let refused: MetaServerError | undefined;
    let least = 0;
    return new Promise((resolve, reject) => {
      const take = (reply: MetaReply): boolean => {
        const error = errorOf(reply);
        if (error !== undefined) {
          refused ??= error;
          return false;
        }
        if (reply.status === 'MN') {
          resolve(replies.map((found, index) => found ?? refused ?? replyOf(silent[commands[index]!.verb])));
          return true;
        }
        const index =
          reply.opaque !== undefined && /^\d{1,9}$/.test(reply.opaque) ? Number(reply.opaque) : -1;
        const verb = commands[index]?.verb;
        // They come in order, each once.
        if (verb === undefined || index < least || !answers[verb].has(reply.status)) {
          throw unexpected(verb ?? 'quiet', reply);
        }
        least = index + 1;
        replies[index] = reply;
        return false;
      };
      this.#write([...parts, 'mn\r\n'], { take, reject });
    });
  }

  /** For commands of the old text protocol that answer with one line. */
  sendText(line: string, status: MetaStatus): Promise<MetaReply> {
    return this.#exchange([`${line}\r\n`], (reply) => {
      if (reply.status !== status) throw unexpected(line.split(' ', 1)[0]!, reply);
      return reply;
    });
  }

  /** For those that answer with values and END. */
  sendRetrieval(line: string): Promise<readonly MetaReply[]> {
    const found: MetaReply[] = [];
    return this.#exchange([`${line}\r\n`], (reply) => {
      if (reply.status === 'END') return found;
      if ((reply.status !== 'CONFIG' && reply.status !== 'VALUE') || found.length > 0) {
        throw unexpected(line.split(' ', 1)[0]!, reply);
      }
      found.push(reply);
      return undefined;
    });
  }

  /** Drops it at once and rejects what is in flight; `fail` isn't called. */
  destroy(cause: Error): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#socket.destroy();
    for (const { reject } of this.#expected.splice(this.#first)) reject(cause);
  }

  /** The credentials are the value of a `set`, as memcached's auth file mode (`-Y`) takes them. */
  async #authenticate({ username, password }: { username: string; password: string }): Promise<void> {
    const body = Buffer.from(`${username} ${password}`, 'utf8');
    let reply: MetaReply | MetaServerError;
    try {
      const parts = [`set auth 0 0 ${body.byteLength}\r\n`, body, '\r\n'];
      reply = await this.#exchange(parts, (answer) => answer);
    } catch (error) {
      if (!(error instanceof MetaServerError)) throw error;
      reply = error;
    }
    // What the server wrote stays out of the message: it could be what was sent.
    if (reply instanceof MetaServerError) {
      throw new MetaAuthenticationError('The server refused `username` and `password`.');
    }
    if (reply.status !== 'STORED') throw unexpected('set', reply);
  }

  #exchange<T>(
    parts: readonly (string | Uint8Array)[],
    take: (reply: MetaReply) => T | undefined,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#write(parts, {
        take: (reply) => {
          const error = errorOf(reply);
          if (error !== undefined) {
            reject(error);
            return true;
          }
          const result = take(reply);
          if (result === undefined) return false;
          resolve(result);
          return true;
        },
        reject,
      });
    });
  }

  #write(parts: readonly (string | Uint8Array)[], expected: Expected): void {
    if (this.#cause !== undefined) {
      expected.reject(this.#cause);
      return;
    }
    if (this.inFlight >= maxInFlight) {
      expected.reject(new MetaUnavailableError(`${maxInFlight} commands are in flight already.`));
      return;
    }
    this.#expected.push(expected);
    // What is asked in one go leaves in one packet.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      queueMicrotask(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    for (const part of parts) this.#socket.write(part);
  }

  #take(reply: MetaReply): void {
    const expected = this.#expected[this.#first];
    // An error line may come before the connection is closed: too many connections.
    if (expected === undefined)
      throw errorOf(reply) ?? new MetaProtocolError('The server sent what nobody asked for.');
    this.#options.progress();
    if (!expected.take(reply)) return;
    this.#first += 1;
    if (this.#first === this.#expected.length || this.#first > 1_024) {
      this.#expected.splice(0, this.#first);
      this.#first = 0;
    }
  }

  #end(cause: Error): void {
    if (this.#cause !== undefined) return;
    this.destroy(cause);
    this.#options.fail(cause);
  }
}

function errorOf({ status, text }: MetaReply): MetaServerError | undefined {
  return status === 'ERROR' || status === 'CLIENT_ERROR' || status === 'SERVER_ERROR'
    ? new MetaServerError(status, text)
    : undefined;
}

function unexpected(verb: string, { status }: MetaReply): MetaProtocolError {
  return new MetaProtocolError(`The server answered ${verb} with ${status}; the connection is dropped.`);
}
