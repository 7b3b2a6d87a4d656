import type { Input } from '@larder/contract/elasticache/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTagsOf } from '../tag/store.ts';
import { type TestControl, testControl, valkeyUser } from '../user/control.test-support.ts';
import { checkUserGroups } from './group-users.ts';

let control: TestControl;
beforeEach(async () => {
  control = testControl();
  await control.call('CreateUser', valkeyUser('app'));
  await control.call('CreateUser', valkeyUser('app-2', { UserName: 'app' }));
  await control.call('CreateUser', valkeyUser('open', { NoPasswordRequired: true }));
  await control.call('CreateUser', valkeyUser('newer', { AccessString: 'on db=1' }));
  await control.call('CreateUser', valkeyUser('redis-1', { Engine: 'redis' }));
  await control.call('CreateUser', valkeyUser('closed', { Engine: 'redis', UserName: 'default' }));
});
afterEach(() => control.close());

const refused = (error: string) => ({ name: 'ServiceError', error });
const groupOf = async (id: string) =>
  (await control.call('DescribeUserGroups', { UserGroupId: id })).UserGroups?.[0];
const create = (id: string, engine: string, ids: string[] = [], more: object = {}) =>
  control.call('CreateUserGroup', { UserGroupId: id, Engine: engine, UserIds: ids, ...more });

describe('user groups', () => {
  test('are active at once and read back as they were sent', async () => {
    const made = await create('Team-A', 'REDIS', ['redis-1', 'default'], {
      Tags: [{ Key: 'a', Value: 'b' }],
    });
    expect(made).toEqual({
      UserGroupId: 'team-a',
      Status: 'active',
      Engine: 'redis',
      UserIds: ['default', 'redis-1'],
      MinimumEngineVersion: '6.0',
      ReplicationGroups: [],
      ServerlessCaches: [],
      ARN: 'arn:aws:elasticache:us-east-1:000000000000:usergroup:team-a',
    });
    expect(await groupOf('TEAM-A')).toEqual(made);
    const resource = { resourceType: 'usergroup', name: 'team-a' } as const;
    expect(await readTagsOf(control.database, resource)).toEqual([{ key: 'a', value: 'b' }]);
    const user = (await control.call('DescribeUsers', { UserId: 'redis-1' })).Users?.[0];
    expect(user).toMatchObject({ UserGroupIds: ['team-a'], Status: 'active' });
    expect(await create('empty', 'valkey')).toMatchObject({ UserIds: [], MinimumEngineVersion: '7.2' });
    expect(await create('mixed', 'valkey', ['redis-1', 'newer'])).toMatchObject({
      MinimumEngineVersion: '9.1',
    });
  });

  test.each<[string, string, string[], string]>([
    ['Redis without default', 'redis', ['redis-1'], 'DefaultUserRequired'],
    ['Redis without anybody', 'redis', [], 'DefaultUserRequired'],
    ['two of one name', 'valkey', ['app', 'app-2'], 'DuplicateUserNameFault'],
    ['two defaults', 'redis', ['default', 'closed'], 'DuplicateUserNameFault'],
    ['a user twice', 'valkey', ['app', 'APP'], 'InvalidParameterValueException'],
    ['nobody', 'valkey', ['nobody'], 'UserNotFoundFault'],
    ["Valkey's user in Redis", 'redis', ['default', 'app'], 'InvalidParameterValueException'],
    ['no password in Valkey', 'valkey', ['open'], 'InvalidParameterValueException'],
    ['memcached', 'memcached', [], 'InvalidParameterValueException'],
  ])('are refused with %s', async (_, engine, ids, error) => {
    await expect(create('team', engine, ids)).rejects.toMatchObject(refused(error));
    expect((await control.call('DescribeUserGroups', {})).UserGroups).toEqual([]);
  });

  test('a second of the same id, a missing one, and too many', async () => {
    await create('team', 'valkey');
    await expect(create('TEAM', 'valkey')).rejects.toMatchObject(refused('UserGroupAlreadyExistsFault'));
    const missing = { UserGroupId: 'none' };
    for (const work of [
      control.call('DescribeUserGroups', missing),
      control.call('DeleteUserGroup', missing),
      control.call('ModifyUserGroup', { ...missing, UserIdsToAdd: ['app'] }),
    ]) {
      await expect(work).rejects.toMatchObject(refused('UserGroupNotFoundFault'));
    }
    for (let index = 1; index < 200; index += 1) await create(`g${index}`, 'valkey');
    await expect(create('more', 'valkey')).rejects.toMatchObject(refused('UserGroupQuotaExceededFault'));
    const first = await control.call('DescribeUserGroups', {});
    const second = await control.call('DescribeUserGroups', { Marker: first.Marker! });
    expect([...(first.UserGroups ?? []), ...(second.UserGroups ?? [])]).toHaveLength(200);
    expect(second.Marker).toBe(undefined);
  });
});

describe('a change of a user group', () => {
  beforeEach(async () => {
    await create('team', 'valkey', ['app']);
    await control.attach('shop', ['team']);
    await control.settle('shop');
    await control.attach('elsewhere', []);
  });
  const modify = (change: Partial<Input<'ModifyUserGroup'>>) =>
    control.call('ModifyUserGroup', { UserGroupId: 'team', ...change });

  test('reads modifying with its pending changes until every node has it', async () => {
    const changed = await modify({ UserIdsToAdd: ['redis-1'], UserIdsToRemove: ['app'] });
    expect(changed).toMatchObject({
      Status: 'modifying',
      UserIds: ['redis-1'],
      PendingChanges: { UserIdsToAdd: ['redis-1'], UserIdsToRemove: ['app'] },
      ReplicationGroups: ['shop'],
    });
    expect(control.woken).toEqual(['replication-group:shop']);
    const { Users } = await control.call('DescribeUsers', {
      Filters: [{ Name: 'status', Values: ['modifying'] }],
    });
    expect(Users?.map(({ UserId }) => UserId)).toEqual(['redis-1']);
    await expect(modify({ UserIdsToAdd: ['app'] })).rejects.toMatchObject(
      refused('InvalidUserGroupStateFault'),
    );
    await control.settle('shop');
    const settled = await groupOf('team');
    expect(settled).toMatchObject({ Status: 'active', UserIds: ['redis-1'] });
    expect(settled?.PendingChanges).toBe(undefined);
    expect(await control.messages('user-group')).toEqual([
      'Created user group team',
      'Modified user group team',
    ]);
  });

  test('nobody waits for a replication group that is created or deleted', async () => {
    await modify({ UserIdsToAdd: ['newer'] });
    for (const [status, seen] of [
      ['creating', 'active'],
      ['deleting', 'active'],
      ['create-failed', 'active'],
      ['modifying', 'modifying'],
      ['available', 'modifying'],
    ] as const) {
      await control.database
        .updateTable('replication_group')
        .set({ status })
        .where('id', '=', 'shop')
        .execute();
      expect((await groupOf('team'))?.Status, status).toBe(seen);
    }
  });

  test.each<[string, Partial<Input<'ModifyUserGroup'>>, string]>([
    ['nothing', {}, 'InvalidParameterCombinationException'],
    ['empty lists', { UserIdsToAdd: [], UserIdsToRemove: [] }, 'InvalidParameterCombinationException'],
    ['who is there', { UserIdsToAdd: ['app'] }, 'InvalidParameterCombinationException'],
    ['who is not there', { UserIdsToRemove: ['newer'] }, 'InvalidParameterCombinationException'],
    ['nobody', { UserIdsToAdd: ['nobody'] }, 'UserNotFoundFault'],
    ['a namesake', { UserIdsToAdd: ['app-2'] }, 'DuplicateUserNameFault'],
    ['no password', { UserIdsToAdd: ['open'] }, 'InvalidParameterCombinationException'],
    ['an engine of other users', { Engine: 'redis' }, 'DefaultUserRequired'],
    ['a strange engine', { Engine: 'memcached' }, 'InvalidParameterValueException'],
  ])('is refused with %s', async (_, change, error) => {
    const before = await groupOf('team');
    await expect(modify(change)).rejects.toMatchObject(refused(error));
    expect(await groupOf('team')).toEqual(before);
    expect(control.woken).toEqual([]);
  });

  test('a namesake takes the place of another in one call, default too', async () => {
    await modify({ UserIdsToAdd: ['app-2'], UserIdsToRemove: ['app'] });
    await create('old', 'redis', ['default']);
    await expect(
      control.call('ModifyUserGroup', { UserGroupId: 'old', UserIdsToRemove: ['default'] }),
    ).rejects.toMatchObject(refused('DefaultUserRequired'));
    const swapped = await control.call('ModifyUserGroup', {
      UserGroupId: 'old',
      UserIdsToAdd: ['closed'],
      UserIdsToRemove: ['default'],
    });
    // No replication group has it, so there is nothing to wait for.
    expect(swapped).toMatchObject({ UserIds: ['closed'], Status: 'active' });
    await expect(control.call('DeleteUser', { UserId: 'closed' })).rejects.toMatchObject(
      refused('DefaultUserAssociatedToUserGroupFault'),
    );
  });

  test('from Redis to Valkey, when everybody logs in', async () => {
    await create('old', 'redis', ['default']);
    const engine = { UserGroupId: 'old', Engine: 'valkey' };
    await expect(control.call('ModifyUserGroup', engine)).rejects.toMatchObject(
      refused('InvalidParameterCombinationException'),
    );
    const changed = await control.call('ModifyUserGroup', {
      ...engine,
      UserIdsToAdd: ['closed'],
      UserIdsToRemove: ['default'],
    });
    expect(changed).toMatchObject({ Engine: 'valkey', UserIds: ['closed'] });
  });

  test('who needs a newer engine than a cache has is refused', async () => {
    await control.attach('old', ['team'], { engineVersion: '8.1.1' });
    await control.settle('old');
    await expect(modify({ UserIdsToAdd: ['newer'] })).rejects.toMatchObject({
      ...refused('InvalidParameterCombinationException'),
      message: 'User newer needs Valkey 9.1; the cache runs Valkey 8.1.1.',
    });
  });

  test('to delete: only when no replication group has it', async () => {
    const remove = () => control.call('DeleteUserGroup', { UserGroupId: 'team' });
    await expect(remove()).rejects.toMatchObject(refused('InvalidUserGroupStateFault'));
    await control.database.deleteFrom('replication_group').where('id', '=', 'shop').execute();
    expect(await remove()).toMatchObject({ Status: 'deleting' });
    await expect(remove()).rejects.toMatchObject(refused('UserGroupNotFoundFault'));
    expect(await control.messages('user-group')).toEqual([
      'Created user group team',
      'Deleted user group team',
    ]);
  });
});

describe('to attach', () => {
  const check = (ids: string[], engine: 'valkey' | 'redis' | 'memcached', version: string) =>
    checkUserGroups(control.database, ids, { engine, version });
  beforeEach(async () => {
    await create('for-valkey', 'valkey', ['app', 'newer']);
    await create('for-redis', 'redis', ['default', 'redis-1']);
  });

  test('what fits', async () => {
    await check([], 'redis', '7.0.15');
    await check(['for-valkey'], 'valkey', '9.1.2');
    await check(['for-redis'], 'valkey', '8.1.1');
    await check(['for-redis'], 'redis', '7.0.15');
  });

  test.each<[string, string[], 'valkey' | 'redis' | 'memcached', string, string]>([
    ['none', ['none'], 'valkey', '9.1.2', 'UserGroupNotFoundFault'],
    ['two', ['for-valkey', 'for-redis'], 'valkey', '9.1.2', 'InvalidParameterCombinationException'],
    ["Valkey's to Redis", ['for-valkey'], 'redis', '7.0.15', 'InvalidParameterCombinationException'],
    ['to an older engine', ['for-valkey'], 'valkey', '8.1.1', 'InvalidParameterCombinationException'],
    ['to Memcached', ['for-redis'], 'memcached', '1.6.18', 'InvalidParameterCombinationException'],
  ])('not %s', async (_, ids, engine, version, error) => {
    await expect(check(ids, engine, version)).rejects.toMatchObject(refused(error));
  });

  test('not while its last change is on its way', async () => {
    await control.attach('shop', ['for-valkey']);
    await expect(check(['for-valkey'], 'valkey', '9.1.2')).rejects.toMatchObject(
      refused('InvalidUserGroupStateFault'),
    );
    await control.settle('shop');
    await check(['for-valkey'], 'valkey', '9.1.2');
  });
});
