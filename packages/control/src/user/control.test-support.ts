/** Tests only: handlers over a state of their own, and replication groups that exist as rows alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import type { Input, OperationName, Output } from '@larder/contract/elasticache/model';
import { digestUsers } from '@larder/engine/acl';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import type { ScratchReply } from '@larder/fleet/scratch-process';
import type { ControlContext } from '../control-context.ts';
import { connectDatabase, type Database } from '../database/connect.ts';
import { controlHandlers } from '../handlers.ts';
import { groupUsersOf } from '../user-group/group-users.ts';

export interface TestControl {
  readonly database: Database;
  /** What was woken, in order. */
  readonly woken: string[];
  /** Commands that scratch engines were asked. */
  readonly asked: (readonly string[])[];
  /** Rules that a version does not take. */
  readonly refusals: Map<string, string[]>;
  call<Op extends OperationName>(operation: Op, input: Input<Op>): Promise<Output<Op>>;
  /** A replication group with these user groups, which it does not have in force yet. */
  attach(id: string, userGroupIds: readonly string[], more?: object): Promise<void>;
  /** As when every node was seen with the users that are wanted now. */
  settle(id: string): Promise<void>;
  messages(sourceType: string): Promise<string[]>;
  close(): Promise<void>;
}

const caller = { requestId: 'r', accessKeyId: undefined, accountId: '000000000000', region: 'us-east-1' };
const installed = [
  { engine: 'valkey', version: '9.1.2' },
  { engine: 'valkey', version: '8.1.1' },
  { engine: 'redis', version: '7.0.15' },
] as const;

/** @param real what is not to be stood in for. */
export function testControl(real: Partial<Pick<ControlContext, 'scratch' | 'engines'>> = {}): TestControl {
  const folder = mkdtempSync(join(tmpdir(), 'larder-users-'));
  const database = connectDatabase(join(folder, 'state.db'));
  const woken: string[] = [];
  const asked: (readonly string[])[] = [];
  const refusals = new Map<string, string[]>();
  const scratch: ScratchEngines = {
    async ask(_, version, commands) {
      asked.push(...commands);
      return commands.map((words): ScratchReply => {
        const refused = refusals.get(version)?.find((rule) => words.includes(rule));
        if (refused === undefined) return { ok: true, value: 'OK' };
        return { ok: false, error: `ERR Error in ACL SETUSER modifier '${refused}': Syntax error` };
      });
    },
    close: async () => undefined,
  };
  let nowMs = Date.UTC(2030, 0, 1);
  const context = {
    database,
    scratch,
    engines: { list: async () => installed },
    nowMs: () => (nowMs += 1),
    logFailures: () => new Map(),
    wake: (resource: string, id: string) => woken.push(`${resource}:${id}`),
    ...real,
  } as unknown as ControlContext;
  const handlers: Handlers = controlHandlers(context);

  return {
    database,
    woken,
    asked,
    refusals,
    call: <Op extends OperationName>(operation: Op, input: Input<Op>) => handlers[operation]!(input, caller),
    async attach(id, userGroupIds, more = {}) {
      const intent = { engine: 'valkey', engineVersion: '9.1.2', userGroupIds, ...more };
      await database
        .insertInto('replication_group')
        .values({ id, intent: JSON.stringify(intent), status: 'available', epoch: 1, created_at: 0 })
        .execute();
    },
    async settle(id) {
      const row = await database
        .selectFrom('replication_group')
        .select('intent')
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      const intent = JSON.parse(row.intent);
      const { users } = await groupUsersOf(database, intent.userGroupIds, {
        engine: intent.engine,
        version: intent.engineVersion,
      });
      await database
        .updateTable('replication_group')
        .set({ users_digest: digestUsers(users) })
        .where('id', '=', id)
        .execute();
    },
    async messages(sourceType) {
      const rows = await database
        .selectFrom('event')
        .select('message')
        .where('source_type', '=', sourceType)
        .orderBy('id')
        .execute();
      return rows.map(({ message }) => message);
    },
    async close() {
      await database.destroy();
      rmSync(folder, { recursive: true });
    },
  };
}

export const somePassword = 'correct-horse-battery';

/** Input for a user of Valkey with a password. */
export function valkeyUser(id: string, change: Partial<Input<'CreateUser'>> = {}): Input<'CreateUser'> {
  return {
    UserId: id,
    UserName: id,
    Engine: 'valkey',
    AccessString: 'on ~* +@read',
    ...(change.AuthenticationMode === undefined &&
      change.NoPasswordRequired === undefined && { Passwords: [somePassword] }),
    ...change,
  };
}
