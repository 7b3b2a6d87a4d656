/** The nouns of a user group, and which replication groups use one. */
import type { EngineName } from '@larder/engine/engine';
import type { UserEngine } from '../user/user.ts';

export interface UserGroup {
  readonly id: string;
  readonly engine: UserEngine;
  /** In order. */
  readonly userIds: readonly string[];
  /** What the last change did; of interest until every node has it. */
  readonly lastAdded: readonly string[];
  readonly lastRemoved: readonly string[];
  readonly createdAtMs: number;
}

/** A replication group whose nodes have the users of user groups. */
export interface UserGroupUse {
  readonly replicationGroupId: string;
  readonly status: string;
  readonly engine: EngineName;
  readonly engineVersion: string;
  readonly userGroupIds: readonly string[];
  /** Digest of the users that all of its nodes were last seen with. */
  readonly usersDigest: string | null;
}
