/** (pure) One client's connection to the Sentinel facade: its commands in, answers and messages out. */
import { type FrameBounds, ProtocolFault, RespSkimmer } from '../resp-skimmer.ts';
import { answer, type SentinelState } from './answers.ts';
import { matchesGlob } from './glob.ts';
import type { SentinelEvent } from './masters.ts';
import { encodeReply, type Reply, type RespVersion } from './resp-reply.ts';

const bounds: FrameBounds = { words: 64, wordBytes: 1_024 };
const mostSubscriptions = 64;

export class SentinelSession {
  readonly #id: number;
  readonly #state: () => SentinelState;
  readonly #skimmer = new RespSkimmer('all', bounds);
  readonly #channels = new Set<string>();
  readonly #patterns = new Set<string>();
  #version: RespVersion = 2;
  #ended = false;

  constructor(id: number, state: () => SentinelState) {
    this.#id = id;
    this.#state = state;
  }

  /** The client said goodbye, or what can't be understood: nothing more is read of it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Answers, one a command, in order. */
  *feed(chunk: Buffer): Generator<string> {
    try {
      for (const piece of this.#skimmer.feed(chunk)) {
        if (this.#ended) return;
        if (piece.kind === 'command') {
          const words = piece.words.map((word) => word.toString());
          for (const reply of this.#answer(words)) yield encodeReply(reply, this.#version);
        } else if (/[^\r\n\t *\d-]/.test(piece.bytes.toString('latin1'))) {
          throw new ProtocolFault('quotes are not understood here');
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolFault)) throw error;
      this.#ended = true;
      yield encodeReply({ error: `ERR Protocol error: ${error.message}` }, this.#version);
    }
  }

  /** What the client hears of an event: once for its channel and once for each pattern, as of an engine. */
  messages({ channel, text }: SentinelEvent): string[] {
    const heard: Reply[] = this.#channels.has(channel) ? [{ push: ['message', channel, text] }] : [];
    for (const pattern of this.#patterns) {
      if (matchesGlob(pattern, channel)) heard.push({ push: ['pmessage', pattern, channel, text] });
    }
    return heard.map((reply) => encodeReply(reply, this.#version));
  }

  #answer(words: readonly string[]): Reply[] {
    const [name = '', ...rest] = words;
    switch (name.toUpperCase()) {
      case 'PING':
        return [this.#ping(rest[0])];
      case 'HELLO':
        return [this.#hello(rest[0])];
      case 'CLIENT':
        return [this.#client(rest[0] ?? '')];
      case 'SUBSCRIBE':
        return this.#subscribe('subscribe', this.#channels, rest);
      case 'PSUBSCRIBE':
        return this.#subscribe('psubscribe', this.#patterns, rest);
      case 'UNSUBSCRIBE':
        return this.#unsubscribe('unsubscribe', this.#channels, rest);
      case 'PUNSUBSCRIBE':
        return this.#unsubscribe('punsubscribe', this.#patterns, rest);
      case 'RESET':
        this.#channels.clear();
        this.#patterns.clear();
        this.#version = 2;
        return [{ simple: 'RESET' }];
      case 'QUIT':
        this.#ended = true;
        return [{ simple: 'OK' }];
      default:
        return [answer(this.#state(), words)];
    }
  }

  #ping(text: string | undefined): Reply {
    const subscribed = this.#channels.size + this.#patterns.size > 0;
    if (subscribed && this.#version === 2) return ['pong', text ?? ''];
    return text ?? { simple: 'PONG' };
  }

  #hello(version: string | undefined): Reply {
    if (version !== undefined && version !== '2' && version !== '3') {
      return { error: 'NOPROTO unsupported protocol version' };
    }
    if (version !== undefined) this.#version = version === '3' ? 3 : 2;
    return {
      map: [
        ['server', 'redis'],
        ['version', '7.2.4'],
        ['proto', this.#version],
        ['id', this.#id],
        ['mode', 'sentinel'],
        ['role', 'sentinel'],
        ['modules', []],
      ],
    };
  }

  #client(subcommand: string): Reply {
    switch (subcommand.toUpperCase()) {
      case 'ID':
        return this.#id;
      case 'GETNAME':
        return null;
      case 'SETNAME':
      case 'SETINFO':
      case 'NO-EVICT':
      case 'NO-TOUCH':
        return { simple: 'OK' };
      default:
        return { error: `ERR unknown subcommand '${subcommand.slice(0, 128)}' of CLIENT` };
    }
  }

  #subscribe(kind: string, to: Set<string>, names: readonly string[]): Reply[] {
    if (names.length === 0) return [{ error: `ERR wrong number of arguments for '${kind}' command` }];
    if (this.#channels.size + this.#patterns.size + names.length > mostSubscriptions) {
      return [{ error: `ERR at most ${mostSubscriptions} subscriptions here` }];
    }
    return names.map((name) => {
      to.add(name);
      return { push: [kind, name, this.#channels.size + this.#patterns.size] };
    });
  }

  #unsubscribe(kind: string, from: Set<string>, names: readonly string[]): Reply[] {
    const all = names.length === 0 ? [...from] : names;
    if (all.length === 0) return [{ push: [kind, null, this.#channels.size + this.#patterns.size] }];
    return all.map((name) => {
      from.delete(name);
      return { push: [kind, name, this.#channels.size + this.#patterns.size] };
    });
  }
}
