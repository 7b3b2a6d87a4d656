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
    const login = name === 'AUTH' ? loginOfAuth(words) : loginOfHello(words);
    if (login === undefined) return bytes;
    const user = login.userName === undefined ? undefined : this.#options.findUser(login.userName);
    if (user === undefined) {
      this.#admit();
      return bytes;
    }
    if (this.#inTransaction) return refusedInTransaction;
    const verdict = await this.#options.judge(user, login.password);
    if (verdict === 'accepted') this.#renew(user);
    return encodeCommand(login.withPassword(verdict === 'accepted' ? user.upstreamPassword : wrongPassword));
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

interface Login {
  /** undefined: the default user. */
  readonly userName: string | undefined;
  readonly password: string;
  /** The command's words with another password. */
  withPassword(password: string): (Buffer | string)[];
}

function loginOfAuth(words: readonly Buffer[]): Login | undefined {
  const [name, user, password] = words;
  if (words.length === 2) return { userName: undefined, password: '', withPassword: () => [...words] };
  if (words.length !== 3) return undefined;
  return loginOf(user!, password!, (other) => [name!, user!, other]);
}

/**
 * `HELLO version [AUTH user password] [SETNAME name]`. Engines take the options one by one and hide a password from
 * those who watch commands only when they come to it: one behind an option that fails would be seen. So AUTH goes
 * first, and a command with two of them passes as it is.
 */
function loginOfHello(words: readonly Buffer[]): Login | undefined {
  const [name, version, ...options] = words;
  if (version === undefined || !['2', '3'].includes(version.toString('latin1'))) return undefined;
  let login: readonly Buffer[] | undefined;
  const others: Buffer[] = [];
  for (let at = 0; at < options.length; ) {
    const option = options[at]!.toString('latin1').toUpperCase();
    if (option === 'AUTH' && at + 2 < options.length && login === undefined) {
      login = options.slice(at, at + 3);
      at += 3;
    } else if (option === 'SETNAME' && at + 1 < options.length) {
      others.push(...options.slice(at, at + 2));
      at += 2;
    } else return undefined;
  }
  if (login === undefined) return undefined;
  const [auth, user, password] = login;
  return loginOf(user!, password!, (other) => [name!, version, auth!, user!, other, ...others]);
}

function loginOf(user: Buffer, password: Buffer, withPassword: Login['withPassword']): Login {
  return { userName: user.toString(), password: password.toString('latin1'), withPassword };
}
