/** Users and user groups as Terraform's provider makes and destroys them: what it sends, and the states it waits for. */
import {
  CreateUserCommand,
  CreateUserGroupCommand,
  DeleteUserCommand,
  DeleteUserGroupCommand,
  DescribeUserGroupsCommand,
  DescribeUsersCommand,
  ListTagsForResourceCommand,
  ModifyUserCommand,
  ModifyUserGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorName, eventsOf } from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';

let larder: TestLarder;
beforeAll(async () => {
  larder = await startLarder({ logLevel: 'debug' });
});
afterAll(() => larder?.remove());

const password = 'correct-horse-battery';
const describeUser = async (UserId: string) =>
  (await larder.client.send(new DescribeUsersCommand({ UserId }))).Users?.[0];
const describeGroup = async (UserGroupId: string) =>
  (await larder.client.send(new DescribeUserGroupsCommand({ UserGroupId }))).UserGroups?.[0];

test('a user: created active, read back, changed, destroyed', async () => {
  // The resource always sends NoPasswordRequired, and the mode as it is written in the configuration.
  const made = await larder.client.send(
    new CreateUserCommand({
      UserId: 'tf-user',
      UserName: 'tf-user',
      Engine: 'REDIS',
      AccessString: 'on ~app::* -@all +@read +@hash +@bitmap +@geo -setbit -bitfield -hset -geoadd',
      NoPasswordRequired: false,
      AuthenticationMode: { Type: 'password', Passwords: [password, `${password}-2`] },
      Tags: [{ Key: 'team', Value: 'shop' }],
    }),
  );
  expect(made.Status).toBe('active');
  const read = await describeUser('tf-user');
  expect(read).toMatchObject({
    ARN: made.ARN,
    Status: 'active',
    Engine: 'redis',
    MinimumEngineVersion: '6.0',
    AccessString: 'on ~app::* -@all +@read +@hash +@bitmap +@geo -setbit -bitfield -hset -geoadd',
    Authentication: { Type: 'password', PasswordCount: 2 },
    UserGroupIds: [],
  });
  const tags = await larder.client.send(new ListTagsForResourceCommand({ ResourceName: made.ARN }));
  expect(tags.TagList).toEqual([{ Key: 'team', Value: 'shop' }]);

  await larder.client.send(new ModifyUserCommand({ UserId: 'tf-user', AccessString: 'on ~* +@all' }));
  await larder.client.send(new ModifyUserCommand({ UserId: 'tf-user', Passwords: [`${password}-3`] }));
  expect(await describeUser('tf-user')).toMatchObject({
    Status: 'active',
    AccessString: 'on ~* +@all',
    Authentication: { Type: 'password', PasswordCount: 1 },
  });
  const strange = new ModifyUserCommand({ UserId: 'tf-user', AccessString: 'on ~* +@nosuch' });
  await expect(larder.client.send(strange)).rejects.toMatchObject({
    name: 'InvalidParameterValueException',
    message: expect.stringContaining("'+@nosuch': Unknown command or category name in ACL"),
  });

  await larder.client.send(new DeleteUserCommand({ UserId: 'tf-user' }));
  await expect(describeUser('tf-user')).rejects.toMatchObject({
    name: 'UserNotFoundFault',
    $metadata: { httpStatusCode: 404 },
  });
  expect(await eventsOf(larder, 'tf-user')).toEqual([
    'Created user tf-user',
    'Modified user tf-user',
    'Modified user tf-user',
    'Deleted user tf-user',
  ]);
});

test('a user group and its associations, one user a call; what it says outlives the service', async () => {
  for (const [UserId, UserName] of [
    ['nobody', 'default'],
    ['app', 'app'],
  ] as const) {
    await larder.client.send(
      new CreateUserCommand({
        UserId,
        UserName,
        Engine: 'redis',
        AccessString: UserName === 'default' ? 'off' : 'on ~* +@all',
        AuthenticationMode: { Type: 'password', Passwords: [password] },
      }),
    );
  }
  const group = { UserGroupId: 'tf-group', Engine: 'REDIS' };
  expect(await errorName(larder.client.send(new CreateUserGroupCommand(group)))).toBe('DefaultUserRequired');
  await larder.client.send(new CreateUserGroupCommand({ ...group, UserIds: ['default'] }));
  expect(await describeGroup('tf-group')).toMatchObject({ Status: 'active', UserIds: ['default'] });

  const modify = (change: object) =>
    larder.client.send(new ModifyUserGroupCommand({ UserGroupId: 'tf-group', ...change }));
  await modify({ UserIdsToAdd: ['app'] });
  expect(await errorName(modify({ UserIdsToAdd: ['nobody'] }))).toBe('DuplicateUserNameFault');
  await modify({ UserIdsToAdd: ['nobody'], UserIdsToRemove: ['default'] });
  await larder.restart();
  expect(await describeGroup('tf-group')).toMatchObject({ Status: 'active', UserIds: ['app', 'nobody'] });
  expect((await describeUser('app'))?.UserGroupIds).toEqual(['tf-group']);

  expect(await errorName(larder.client.send(new DeleteUserCommand({ UserId: 'nobody' })))).toBe(
    'DefaultUserAssociatedToUserGroupFault',
  );
  await larder.client.send(new DeleteUserCommand({ UserId: 'app' }));
  expect(await describeGroup('tf-group')).toMatchObject({ Status: 'active', UserIds: ['nobody'] });
  const deleted = await larder.client.send(new DeleteUserGroupCommand({ UserGroupId: 'tf-group' }));
  expect(deleted.Status).toBe('deleting');
  expect(await errorName(describeGroup('tf-group'))).toBe('UserGroupNotFoundFault');
  await larder.client.send(new DeleteUserCommand({ UserId: 'nobody' }));
});

test('passwords are in no log', () => {
  expect(larder.log).toContain('CreateUser');
  expect(larder.log).not.toContain(password);
});
