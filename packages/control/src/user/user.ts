/** The nouns of access control: a user as customers make it. */
import type { EngineName } from '@larder/engine/engine';

/** Engines that know users. */
export type UserEngine = Exclude<EngineName, 'memcached'>;

export type UserAuthentication = 'password' | 'no-password' | 'iam';

export interface CacheUser {
  readonly id: string;
  /** What clients log in as; several users may have it, but not in one group. */
  readonly userName: string;
  readonly engine: UserEngine;
  /** As it was sent, what was appended behind it. */
  readonly accessString: string;
  /** The access string's rules, which an engine took. */
  readonly rules: readonly string[];
  readonly authentication: UserAuthentication;
  /** SHA-256 in hexadecimal; at most two, none without passwords. */
  readonly passwordHashes: readonly string[];
  /** The first version, `9.1`, that takes the rules. */
  readonly minimumEngineVersion: string;
  readonly createdAtMs: number;
  /** Set once its deletion was asked for: the groups it was in then. */
  readonly deletedFrom?: readonly string[];
}

/** ElastiCache's own user, which is there from the start. */
export const defaultUserId = 'default';
/** Whom an engine takes a client for that gives no name. */
export const defaultUserName = 'default';

/** Where users of each engine begin; what they use may ask for more. */
export const oldestVersion: Readonly<Record<UserEngine, string>> = { valkey: '7.2', redis: '6.0' };
