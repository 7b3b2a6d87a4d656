/** What one client of an `iam` route sends, with its tokens turned into what the engine knows. */
import { randomBytes } from 'node:crypto';
import type { IamTokenFault } from '@larder/contract/iam-token';
import { encodeCommand, type Piece, RespSkimmer, unauthenticatedBounds } from './resp-skimmer.ts';
import type { IamUser } from './route-table.ts';

/** After which a client must authenticate again, as AWS has it. */
export const sessionLifeMs = 12 * 60 * 60_000;

const watched = new Set(['AUTH', 'HELLO', 'MULTI', 'EXEC', 'DISCARD', 'RESET']);
/** No user has it: the engine itself refuses, in the place among its answers where the client expects it. */
const wrongPassword = randomBytes(32).toString('hex');
/** Without its words it is an error; a transaction is dropped by that. */
const refusedInTransaction = encodeCommand(['AUTH']);

export type Verdict = 'accepted' | 'throttled' | IamTokenFault;

export interface IamSessionOptions {
  /** As of now. */
  readonly findUser: (userName: string) => IamUser | undefined;
  readonly judge: (user: IamUser, token: string) => Promise<Verdict>;
  readonly nowMs: () => number;
  readonly anonymous: boolean;
}

export class IamSession {
  readonly #options: IamSessionOptions;
  readonly #skimmer: RespSkimmer;
  #inTransaction = false;
  #userName: string | undefined;
  /** When the connection must be closed; undefined while no token was accepted. */
  expiresAtMs: number | undefined;
  /** It sent credentials: a token that was accepted, or others, which the engine judges. */
  authenticated: boolean;

  constructor(options: IamSessionOptions) {
    this.#options = options;
    this.authenticated = options.anonymous;
    this.#skimmer = new RespSkimmer(watched, options.anonymous ? undefined : unauthenticatedBounds);
  }

  /** What the engine is sent for `chunk`. @throws ProtocolFault. */
  async *feed(chunk: Buffer): AsyncGenerator<Buffer> {
    for (const piece of this.#skimmer.feed(chunk)) {
      yield piece.kind === 'pass' ? piece.bytes : await this.#take(piece);
    }
  }

  async #take({ name, words, bytes }: Piece & { readonly kind: 'command' }): Promise<Buffer> {
    if (name !== 'AUTH' && name !== 'HELLO') {
      // With more words each of them is an error that changes nothing.
      if (words.length === 1) this.#inTransaction = name === 'MULTI';
      return bytes;
    }
    const at = name === 'AUTH' ? credentialsOfAuth(words) : credentialsOfHello(words);
    if (at === undefined) return bytes;
    const user = at.user === undefined ? undefined : this.#options.findUser(words[at.user]!.toString());
    if (user === undefined) {
      this.#admit();
      return bytes;
    }
    if (this.#inTransaction) return refusedInTransaction;
    const verdict = await this.#options.judge(user, words[at.password]!.toString('latin1'));
    if (verdict === 'accepted') this.#renew(user);
    const password = verdict === 'accepted' ? user.upstreamPassword : wrongPassword;
    return encodeCommand(words.with(at.password, Buffer.from(password)));
  }

  /** A token of another user than before does not prolong: the engine may refuse that user. */
  #renew({ userName }: IamUser): void {
    const deadline = this.#options.nowMs() + sessionLifeMs;
    const isSame = this.#userName === undefined || this.#userName === userName;
    this.expiresAtMs = isSame ? deadline : Math.min(deadline, this.expiresAtMs ?? deadline);
    this.#userName = userName;
    this.#admit();
  }

  #admit(): void {
    this.authenticated = true;
    this.#skimmer.bounds = undefined;
  }
}

/** Where the words of a user and a password are. No user: the default one. */
interface Credentials {
  readonly user?: number;
  readonly password: number;
}

function credentialsOfAuth(words: readonly Buffer[]): Credentials | undefined {
  if (words.length === 2) return { password: 1 };
  return words.length === 3 ? { user: 1, password: 2 } : undefined;
}

/** `HELLO version [AUTH user password] [SETNAME name]`; of several AUTH the engine takes the last. */
function credentialsOfHello(words: readonly Buffer[]): Credentials | undefined {
  const version = words[1]?.toString('latin1');
  if (version !== '2' && version !== '3') return undefined;
  let found: Credentials | undefined;
  for (let at = 2; at < words.length; ) {
    const option = words[at]!.toString('latin1').toUpperCase();
    if (option === 'AUTH' && at + 2 < words.length) {
      found = { user: at + 1, password: at + 2 };
      at += 3;
    } else if (option === 'SETNAME' && at + 1 < words.length) at += 2;
    else return undefined;
  }
  return found;
}
