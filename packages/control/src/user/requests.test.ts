import { createHash } from 'node:crypto';
import type { Input } from '@larder/contract/elasticache/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { groupUsersOf } from '../user-group/group-users.ts';
import { somePassword, type TestControl, testControl, valkeyUser } from './control.test-support.ts';

let control: TestControl;
beforeEach(() => {
  control = testControl();
});
afterEach(() => control.close());

const other = 'another-long-password';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const refused = (error: string) => ({ name: 'ServiceError', error });
const users = async (input: Input<'DescribeUsers'> = {}) =>
  (await control.call('DescribeUsers', input)).Users ?? [];
const statusOf = async (id: string) => (await users({ UserId: id }))[0]?.Status;

describe('users', () => {
  test("ElastiCache's default user is there from the start, and stays", async () => {
    expect(await users()).toEqual([
      {
        UserId: 'default',
        UserName: 'default',
        Status: 'active',
        Engine: 'redis',
        MinimumEngineVersion: '6.0',
        AccessString: 'on ~* +@all',
        UserGroupIds: [],
        Authentication: { Type: 'no-password' },
        ARN: 'arn:aws:elasticache:us-east-1:000000000000:user:default',
      },
    ]);
    await expect(
      control.call('ModifyUser', { UserId: 'default', AccessString: 'off' }),
    ).rejects.toMatchObject(refused('InvalidParameterValueException'));
    await expect(control.call('DeleteUser', { UserId: 'default' })).rejects.toMatchObject(
      refused('InvalidParameterValueException'),
    );
  });

  test('are active at once and read back as they were sent', async () => {
    const made = await control.call(
      'CreateUser',
      valkeyUser('App-1', { UserName: 'App', Engine: 'VALKEY', Passwords: [somePassword, other] }),
    );
    expect(made).toEqual({
      UserId: 'app-1',
      UserName: 'App',
      Status: 'active',
      Engine: 'valkey',
      MinimumEngineVersion: '7.2',
      AccessString: 'on ~* +@read',
      UserGroupIds: [],
      Authentication: { Type: 'password', PasswordCount: 2 },
      ARN: 'arn:aws:elasticache:us-east-1:000000000000:user:app-1',
    });
    expect(await users({ UserId: 'APP-1' })).toEqual([made]);
    expect(await control.messages('user')).toEqual(['Created user app-1']);
  });

  test('keep no password, only its hash, and say it nowhere', async () => {
    await control.call('CreateUser', valkeyUser('app'));
    const rows = JSON.stringify(await control.database.selectFrom('cache_user').selectAll().execute());
    expect(rows).toContain(sha256(somePassword));
    expect(rows + JSON.stringify(control.asked)).not.toContain(somePassword);
    for (const Passwords of [[`${somePassword}@`], [somePassword, somePassword], ['short,secret']]) {
      const error = await control
        .call('CreateUser', valkeyUser('b', { Passwords }))
        .catch((each: Error) => each);
      expect(error).toMatchObject(refused('InvalidParameterValueException'));
      expect(String(error)).not.toMatch(/horse|secret/);
    }
  });

  test.each<[string, Partial<Input<'CreateUser'>>, string]>([
    ['memcached', { Engine: 'memcached' }, 'InvalidParameterValueException'],
    ['a digit first', { UserId: '1a' }, 'InvalidParameterValueException'],
    ['a name with a space', { UserName: 'a b' }, 'InvalidParameterValueException'],
    ['a name like a selector', { UserName: '(a' }, 'InvalidParameterValueException'],
    ["the service's own name", { UserName: 'larder' }, 'DuplicateUserNameFault'],
    ["the replicas' name", { UserName: 'larder-replica' }, 'DuplicateUserNameFault'],
    ['a password of 15', { Passwords: ['a'.repeat(15)] }, 'InvalidParameterValueException'],
    ['a password of 129', { Passwords: ['a'.repeat(129)] }, 'InvalidParameterValueException'],
    ['a line break in a password', { Passwords: [`${other}\n`] }, 'InvalidParameterValueException'],
    [
      'three passwords',
      { Passwords: [other, somePassword, 'x'.repeat(16)] },
      'InvalidParameterValueException',
    ],
    ['no way to log in', { Passwords: [] }, 'InvalidParameterCombinationException'],
    ['false alone', { Passwords: [], NoPasswordRequired: false }, 'InvalidParameterCombinationException'],
    [
      'two ways to log in',
      { Passwords: [other], NoPasswordRequired: true },
      'InvalidParameterCombinationException',
    ],
    [
      'passwords twice',
      { Passwords: [other], AuthenticationMode: { Type: 'password', Passwords: [other] } },
      'InvalidParameterCombinationException',
    ],
    [
      'IAM with a password',
      { AuthenticationMode: { Type: 'iam', Passwords: [other] } },
      'InvalidParameterCombinationException',
    ],
    [
      'IAM under another name',
      { UserName: 'x', AuthenticationMode: { Type: 'iam' } },
      'InvalidParameterCombinationException',
    ],
    [
      'the type password without one',
      { AuthenticationMode: { Type: 'password' } },
      'InvalidParameterCombinationException',
    ],
    ['no type', { AuthenticationMode: {} }, 'InvalidParameterValueException'],
    ['an empty access string', { AccessString: ' ' }, 'InvalidParameterValueException'],
    ['a password in the access string', { AccessString: 'on >secret' }, 'InvalidParameterValueException'],
    ['a long access string', { AccessString: `on ${'~a '.repeat(2_000)}` }, 'InvalidParameterValueException'],
    ['many selectors', { AccessString: `on ${'() '.repeat(51)}` }, 'InvalidParameterValueException'],
    ['a tag twice', { Tags: [{ Key: 'a' }, { Key: 'a' }] }, 'InvalidParameterValueException'],
    [
      'too many tags',
      { Tags: Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}` })) },
      'TagQuotaPerResourceExceeded',
    ],
  ])('are refused with %s', async (_, change, error) => {
    await expect(control.call('CreateUser', valkeyUser('app', change))).rejects.toMatchObject(refused(error));
    expect(await users()).toHaveLength(1);
    expect(await control.messages('user')).toEqual([]);
  });

  test("an engine's refusal is told in its words; what an older one refuses raises the minimum", async () => {
    control.refusals.set('9.1.2', ['+@nosuch']);
    control.refusals.set('8.1.1', ['+newer']);
    await expect(
      control.call('CreateUser', valkeyUser('a', { AccessString: 'on +@nosuch' })),
    ).rejects.toMatchObject({
      ...refused('InvalidParameterValueException'),
      message: "The access string is not valid: Error in ACL SETUSER modifier '+@nosuch': Syntax error.",
    });
    const minimum = async (id: string, change: Partial<Input<'CreateUser'>>) =>
      (await control.call('CreateUser', valkeyUser(id, change))).MinimumEngineVersion;
    expect(await minimum('b', { AccessString: 'on +newer' })).toBe('9.1');
    expect(await minimum('c', { AccessString: 'on db=0,1 ~* +get' })).toBe('9.1');
    expect(await minimum('d', { AccessString: 'on (~* +get)' })).toBe('7.2');
    const redis = { Engine: 'redis' };
    expect(await minimum('e', { ...redis, AccessString: 'on ~* +get' })).toBe('6.0');
    expect(await minimum('f', { ...redis, AccessString: 'on ~* &news +get' })).toBe('6.2');
    expect(await minimum('g', { ...redis, AccessString: 'on %R~* +get' })).toBe('7.0');
    expect(await minimum('h', { ...redis, AccessString: 'on ~* (+get)' })).toBe('7.0');
    expect(await minimum('i', { ...redis, AccessString: 'on ~* +client|id' })).toBe('7.0');
    expect(await minimum('j', { ...redis, AuthenticationMode: { Type: 'iam' } })).toBe('7.0');
  });

  test('a second of the same id, and a missing one', async () => {
    await control.call('CreateUser', valkeyUser('app'));
    await expect(control.call('CreateUser', valkeyUser('APP'))).rejects.toMatchObject(
      refused('UserAlreadyExistsFault'),
    );
    for (const operation of ['DescribeUsers', 'DeleteUser'] as const) {
      await expect(control.call(operation, { UserId: 'nobody' })).rejects.toMatchObject(
        refused('UserNotFoundFault'),
      );
    }
    await expect(control.call('ModifyUser', { UserId: 'nobody', AccessString: 'on' })).rejects.toMatchObject(
      refused('UserNotFoundFault'),
    );
  });

  test('are at most 2,000', async () => {
    const some = await control.database.selectFrom('cache_user').selectAll().executeTakeFirstOrThrow();
    const rows = Array.from({ length: 1_998 }, (_, index) => ({ ...some, id: `u${index}` }));
    await control.database.insertInto('cache_user').values(rows).execute();
    await control.call('CreateUser', valkeyUser('last'));
    await expect(control.call('CreateUser', valkeyUser('more'))).rejects.toMatchObject(
      refused('UserQuotaExceededFault'),
    );
    // Who is gone makes room.
    await control.call('DeleteUser', { UserId: 'last' });
    await control.call('CreateUser', valkeyUser('more'));
  });

  test('come in pages, by engine and by filters', async () => {
    for (let index = 10; index < 45; index += 1) {
      await control.call('CreateUser', valkeyUser(`u${index}`, { UserName: `Name${index % 2}` }));
    }
    const seen: (string | undefined)[] = [];
    let marker: string | undefined;
    do {
      const page = await control.call('DescribeUsers', {
        MaxRecords: 20,
        ...(marker !== undefined && { Marker: marker }),
      });
      seen.push(...(page.Users ?? []).map(({ UserId }) => UserId));
      marker = page.Marker;
    } while (marker !== undefined);
    expect(seen).toEqual(['default', ...Array.from({ length: 35 }, (_, index) => `u${index + 10}`)]);
    expect(await users({ Engine: 'Redis' })).toHaveLength(1);
    const filtered = (Name: string, Values: string[]) => users({ Filters: [{ Name, Values }] });
    expect(await filtered('user-id', ['U11', 'u12', 'x'])).toHaveLength(2);
    expect(await filtered('UserName', ['Name0'])).toHaveLength(18);
    expect(await filtered('user-name', ['name0'])).toHaveLength(0);
    expect(await filtered('status', ['modifying'])).toHaveLength(0);
    await expect(filtered('colour', ['x'])).rejects.toMatchObject(
      refused('InvalidParameterCombinationException'),
    );
  });
});

describe('a change of a user', () => {
  beforeEach(async () => {
    await control.call('CreateUser', valkeyUser('app'));
    await control.call('CreateUser', valkeyUser('other'));
    await control.call('CreateUserGroup', { UserGroupId: 'team', Engine: 'valkey', UserIds: ['app'] });
    await control.attach('shop', ['team']);
    await control.settle('shop');
    control.woken.length = 0;
  });

  test('reads modifying until every node has it, and only who is concerned does', async () => {
    const changed = await control.call('ModifyUser', { UserId: 'app', AppendAccessString: '+set' });
    expect(changed).toMatchObject({ AccessString: 'on ~* +@read +set', Status: 'modifying' });
    expect(control.woken).toEqual(['replication-group:shop']);
    expect(await statusOf('app')).toBe('modifying');
    expect(await statusOf('other')).toBe('active');
    const group = await control.call('DescribeUserGroups', { UserGroupId: 'team' });
    expect(group.UserGroups).toMatchObject([{ Status: 'modifying', ReplicationGroups: ['shop'] }]);
    expect(group.UserGroups?.[0]?.PendingChanges).toBe(undefined);
    for (const work of [
      control.call('ModifyUser', { UserId: 'app', AccessString: 'on' }),
      control.call('DeleteUser', { UserId: 'app' }),
    ]) {
      await expect(work).rejects.toMatchObject(refused('InvalidUserStateFault'));
    }
    await control.settle('shop');
    expect(await statusOf('app')).toBe('active');
    expect(await control.messages('user')).toEqual([
      'Created user app',
      'Created user other',
      'Modified user app',
    ]);
  });

  test('that is refused changes nothing and wakes nobody', async () => {
    const before = await users();
    for (const [input, error] of [
      [{}, 'InvalidParameterCombinationException'],
      [{ AccessString: 'on', AppendAccessString: '+get' }, 'InvalidParameterCombinationException'],
      [{ AccessString: 'on >secret' }, 'InvalidParameterValueException'],
      [{ Passwords: ['short'] }, 'InvalidParameterValueException'],
      [{ Engine: 'memcached' }, 'InvalidParameterValueException'],
      // Its group is one of Valkey, where everybody logs in.
      [{ NoPasswordRequired: true }, 'InvalidParameterCombinationException'],
    ] as const) {
      await expect(
        control.call('ModifyUser', { UserId: 'app', ...input } as Input<'ModifyUser'>),
      ).rejects.toMatchObject(refused(error));
    }
    expect(await users()).toEqual(before);
    expect(control.woken).toEqual([]);
  });

  test('that its cache is too old for is refused', async () => {
    await control.attach('old', ['team'], { engineVersion: '8.1.1' });
    await control.settle('old');
    await expect(
      control.call('ModifyUser', { UserId: 'app', AppendAccessString: 'db=1' }),
    ).rejects.toMatchObject({
      ...refused('InvalidParameterCombinationException'),
      message: 'User app needs Valkey 9.1; the cache runs Valkey 8.1.1.',
    });
  });

  test('of passwords replaces them; of the way to log in too', async () => {
    await control.call('ModifyUser', { UserId: 'other', Passwords: [somePassword, other] });
    expect((await users({ UserId: 'other' }))[0]?.Authentication).toEqual({
      Type: 'password',
      PasswordCount: 2,
    });
    await control.call('ModifyUser', { UserId: 'other', AuthenticationMode: { Type: 'iam' } });
    expect((await users({ UserId: 'other' }))[0]?.Authentication).toEqual({ Type: 'iam' });
    const rows = JSON.stringify(await control.database.selectFrom('cache_user').selectAll().execute());
    expect(rows).not.toContain(sha256(other));
    await control.call('ModifyUser', { UserId: 'other', NoPasswordRequired: true });
    expect((await users({ UserId: 'other' }))[0]?.Authentication).toEqual({ Type: 'no-password' });
    await expect(
      control.call('ModifyUser', { UserId: 'other', NoPasswordRequired: false }),
    ).rejects.toMatchObject(refused('InvalidParameterCombinationException'));
  });

  test('two at once: one of them is told to wait', async () => {
    const results = await Promise.allSettled([
      control.call('ModifyUser', { UserId: 'other', AppendAccessString: '+set' }),
      control.call('ModifyUser', { UserId: 'other', AppendAccessString: '+del' }),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: refused('InvalidUserStateFault'),
    });
  });

  test('to delete: out of its groups at once, gone when no node has it', async () => {
    expect(await control.call('DeleteUser', { UserId: 'app' })).toMatchObject({ Status: 'deleting' });
    expect(control.woken).toEqual(['replication-group:shop']);
    expect(await statusOf('app')).toBe('deleting');
    const { UserGroups } = await control.call('DescribeUserGroups', {});
    expect(UserGroups).toMatchObject([
      { UserIds: [], Status: 'modifying', PendingChanges: { UserIdsToAdd: [], UserIdsToRemove: ['app'] } },
    ]);
    await expect(control.call('CreateUser', valkeyUser('app'))).rejects.toMatchObject(
      refused('UserAlreadyExistsFault'),
    );
    await expect(control.call('DeleteUser', { UserId: 'app' })).rejects.toMatchObject(
      refused('InvalidUserStateFault'),
    );
    await control.settle('shop');
    await expect(control.call('DescribeUsers', { UserId: 'app' })).rejects.toMatchObject(
      refused('UserNotFoundFault'),
    );
    expect((await users()).map(({ UserId }) => UserId)).toEqual(['default', 'other']);
    await control.call('CreateUser', valkeyUser('app'));
    expect(await statusOf('app')).toBe('active');
  });

  test('to delete one that is in no group: gone at once', async () => {
    expect(await control.call('DeleteUser', { UserId: 'other' })).toMatchObject({ Status: 'deleting' });
    await expect(control.call('DeleteUser', { UserId: 'other' })).rejects.toMatchObject(
      refused('UserNotFoundFault'),
    );
    expect(control.woken).toEqual([]);
  });
});

test("a node's users are those of the group, restricted; default is off unless the group has one", async () => {
  await control.call('CreateUser', valkeyUser('app', { AccessString: 'on ~* +@all (+config ~x)' }));
  await control.call('CreateUser', valkeyUser('token', { AuthenticationMode: { Type: 'iam' } }));
  await control.call('CreateUserGroup', {
    UserGroupId: 'team',
    Engine: 'valkey',
    UserIds: ['app', 'token'],
  });
  await control.call('CreateUserGroup', { UserGroupId: 'old', Engine: 'redis', UserIds: ['default'] });
  const of = { engine: 'valkey', version: '9.1.2' } as const;
  const { users: found, iam } = await groupUsersOf(control.database, ['team'], of);
  expect(found.map(({ name }) => name)).toEqual(['default', 'app', 'token']);
  expect(found[0]?.rules).toContain('off');
  expect(found[1]?.rules[0]).toBe(`#${sha256(somePassword)}`);
  expect(found[1]?.rules.at(-1)).toMatch(/^-/);
  expect(found[1]?.rules.find((rule) => rule.startsWith('('))).toMatch(/^\(\+config ~x .*-config /);
  expect(found[2]?.rules.some((rule) => rule.startsWith('#') || rule === 'nopass')).toBe(false);
  expect(iam).toEqual([{ userId: 'token', userName: 'token' }]);
  const open = await groupUsersOf(control.database, ['old'], of);
  expect(open.users).toHaveLength(1);
  expect(open.users[0]?.rules.slice(0, 4)).toEqual(['nopass', 'on', '~*', '+@all']);
});
