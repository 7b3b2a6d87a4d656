/** Who may log in at an engine, and what is told of it. What users may do there is seen in e2e/security. */
import {
  CreateUserCommand,
  CreateUserGroupCommand,
  DeleteUserGroupCommand,
  DescribeUserGroupsCommand,
  DescribeUsersCommand,
  ModifyReplicationGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import { createGroup, errorName, groupAvailable } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { atTheMachine, rejectedCombination } from './looks.test-support.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

/** Customers' users of the engine by ACL LIST: name -> its rules. */
async function engineUsers(): Promise<Map<string, string>> {
  const engine = await atTheMachine(larder, 'secured-001');
  try {
    const lines = (await engine.acl('LIST')) as string[];
    const users = lines.map((line) => /^user (\S+) (.*)$/.exec(line)!.slice(1) as [string, string]);
    return new Map(users.filter(([name]) => !name.startsWith('larder')));
  } finally {
    engine.disconnect();
  }
}

test('users and user groups that are told are those of the engines, until the group is taken away', async () => {
  const { client } = larder;
  const create = (UserId: string, UserName: string, AccessString: string) =>
    client.send(
      new CreateUserCommand({
        UserId,
        UserName,
        Engine: 'redis',
        AccessString,
        AuthenticationMode: {
          Type: 'password',
          Passwords: [`password-of-${UserId}-1`, `password-of-${UserId}-2`],
        },
      }),
    );
  await create('reader', 'reader', 'on ~shop:* +@read');
  await create('nobody', 'default', 'off ~* -@all');
  await create('elsewhere', 'elsewhere', 'on ~* +@all');
  await client.send(
    new CreateUserGroupCommand({ UserGroupId: 'shop', Engine: 'redis', UserIds: ['nobody', 'reader'] }),
  );
  await createGroup(larder, 'secured', { TransitEncryptionEnabled: true, UserGroupIds: ['shop'] });
  await groupAvailable(larder, 'secured');

  const onEngine = await engineUsers();
  await effect(
    'DescribeUserGroups',
    'the users it tells are those that the engine of its replication group has, by ACL LIST',
    async () => {
      const { UserGroups } = await client.send(new DescribeUserGroupsCommand({ UserGroupId: 'shop' }));
      expect(UserGroups![0]).toMatchObject({ Status: 'active', ReplicationGroups: ['secured'] });
      const names: string[] = [];
      for (const UserId of UserGroups![0]!.UserIds!) {
        const { Users } = await client.send(new DescribeUsersCommand({ UserId }));
        names.push(Users![0]!.UserName!);
      }
      expect(names.sort()).toEqual([...onEngine.keys()].sort());
    },
  );
  await effect(
    'DescribeUsers',
    'state, keys and number of passwords that it tells are those of the engine, by ACL LIST',
    async () => {
      const { Users } = await client.send(new DescribeUsersCommand({ UserId: 'reader' }));
      expect(Users![0]).toMatchObject({ AccessString: 'on ~shop:* +@read', UserGroupIds: ['shop'] });
      const rules = onEngine.get('reader')!.split(' ');
      expect(rules).toEqual(expect.arrayContaining(['on', '~shop:*', '+@read']));
      const hashes = rules.filter((rule) => rule.startsWith('#'));
      expect(hashes).toHaveLength(Users![0]!.Authentication!.PasswordCount!);
      expect(onEngine.get('default')!.split(' ')).toContain('off');
    },
  );
  const some = await client.send(
    new DescribeUsersCommand({ Filters: [{ Name: 'user-id', Values: ['reader', 'elsewhere'] }] }),
  );
  expect(some.Users!.map(({ UserId }) => UserId)).toEqual(['elsewhere', 'reader']);
  const strange = new DescribeUsersCommand({ Filters: [{ Name: 'shoe-size', Values: ['44'] }] });
  expect(await errorName(client.send(strange))).toBe(rejectedCombination);

  const remove = () => client.send(new DeleteUserGroupCommand({ UserGroupId: 'shop' }));
  expect(await errorName(remove())).toBe('InvalidUserGroupStateFault');
  await client.send(
    new ModifyReplicationGroupCommand({
      ReplicationGroupId: 'secured',
      RemoveUserGroups: true,
      ApplyImmediately: true,
    }),
  );
  await groupAvailable(larder, 'secured');
  await waitFor(
    () => errorName(remove()),
    (name) => name === 'no error',
    { what: 'the user group to go' },
  );
  await larder.restart();
  await effect(
    'DeleteUserGroup',
    'its users are no longer on the engine by ACL LIST, and no group can have it again',
    async () => {
      expect([...(await engineUsers()).keys()]).toEqual(['default']);
      const again = createGroup(larder, 'again', { TransitEncryptionEnabled: true, UserGroupIds: ['shop'] });
      expect(await errorName(again)).toBe('UserGroupNotFoundFault');
    },
  );
});
