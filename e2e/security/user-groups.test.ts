/** The promise: who may do what is what the engines enforce, at once and without cutting off anybody else. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CreateUserCommand,
  type CreateUserCommandInput,
  CreateUserGroupCommand,
  DeleteUserCommand,
  DescribeUserGroupsCommand,
  DescribeUsersCommand,
  ModifyReplicationGroupCommand,
  type ModifyReplicationGroupCommandInput,
  ModifyUserCommand,
  ModifyUserGroupCommand,
} from '@aws-sdk/client-elasticache';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import { createGroup, describeGroup, errorName, groupAvailable } from '../../testing/elasticache-requests.ts';
import { iamToken } from '../../testing/iam-token.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { type Place, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';

const clients = redisClients();
const password = (name: string) => `the-password-of-${name}`;
let larder: TestLarder;
let ca: string;

beforeAll(async () => {
  larder = await startLarder();
  ca = await readFile(join(larder.dataDirectory, 'tls', 'ca.pem'), 'utf8');
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

async function user(UserId: string, AccessString: string, more: Partial<CreateUserCommandInput> = {}) {
  await larder.client.send(
    new CreateUserCommand({
      UserId,
      UserName: UserId,
      Engine: 'valkey',
      AccessString,
      ...(more.AuthenticationMode === undefined && { Passwords: [password(UserId)] }),
      ...more,
    }),
  );
}

async function userGroup(UserGroupId: string, UserIds: string[]): Promise<void> {
  await larder.client.send(new CreateUserGroupCommand({ UserGroupId, Engine: 'valkey', UserIds }));
}

async function modify(id: string, input: Partial<ModifyReplicationGroupCommandInput>): Promise<void> {
  await larder.client.send(
    new ModifyReplicationGroupCommand({ ReplicationGroupId: id, ApplyImmediately: true, ...input }),
  );
  await groupAvailable(larder, id);
}

async function groupActive(id: string): Promise<void> {
  await waitFor(
    () => larder.client.send(new DescribeUserGroupsCommand({ UserGroupId: id })),
    ({ UserGroups }) => UserGroups![0]!.Status === 'active',
    { what: `user group ${id} to be active` },
  );
}

async function userActive(id: string): Promise<void> {
  await waitFor(
    () => larder.client.send(new DescribeUsersCommand({ UserId: id })),
    ({ Users }) => Users![0]!.Status === 'active',
    { what: `user ${id} to be active` },
  );
}

async function members(id: string): Promise<Place[]> {
  const { NodeGroups } = await describeGroup(larder, id);
  return NodeGroups![0]!.NodeGroupMembers!.map(({ ReadEndpoint }) => ReadEndpoint!);
}

/** Logged in at the place, on a connection that is not made anew. */
async function login(place: Place, username: string, secret: string): Promise<Redis> {
  const client = clients.to(place, {
    tls: { ca },
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    lazyConnect: true,
    username,
    password: secret,
  });
  // A refused login ends the connection; why is told before that.
  let refusal: Error | undefined;
  client.once('error', (error) => {
    refusal = error;
  });
  await client.connect().catch((error: Error) => {
    throw refusal ?? error;
  });
  return client;
}

/** The engine's first word about it: `OK`, `NOPERM`, `WRONGPASS`, … */
const word = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'OK',
    (error: Error) => error.message.split(' ')[0]!,
  );

describe.each(['valkey', 'redis'] as const)('a user group on %s', (engine) => {
  const id = `shop-${engine}`;
  const reader = `reader-${engine}`;
  const writer = `writer-${engine}`;
  const people = `people-${engine}`;

  test('is in force on every node from the first moment', async () => {
    await user(`default-${engine}`, 'off -@all', { UserName: 'default', Engine: 'redis' });
    await user(reader, 'on ~public:* +@read', { Engine: 'redis' });
    await user(writer, 'on ~* +@all', { Engine: 'redis' });
    await larder.client.send(
      new CreateUserGroupCommand({
        UserGroupId: people,
        Engine: 'redis',
        UserIds: [`default-${engine}`, reader, writer],
      }),
    );
    await createGroup(larder, id, {
      Engine: engine,
      NumCacheClusters: 2,
      TransitEncryptionEnabled: true,
      UserGroupIds: [people],
    });
    await groupAvailable(larder, id);
    await effect('CreateUserGroup', 'its users log in at each node, others do not', async () => {
      for (const place of await members(id)) {
        expect(await word(login(place, reader, password(reader)))).toBe('OK');
        expect(await word(login(place, writer, password(writer)))).toBe('OK');
        expect(await word(login(place, 'nobody', password(writer)))).toBe('WRONGPASS');
      }
    });
    const [primary] = await members(id);
    const asWriter = await login(primary!, writer, password(writer));
    const asReader = await login(primary!, reader, password(reader));
    await effect('CreateUser', 'what its access string allows, and no more', async () => {
      expect(await word(asWriter.set('public:a', '1'))).toBe('OK');
      expect(await asReader.get('public:a')).toBe('1');
      expect(await word(asReader.get('private:a'))).toBe('NOPERM');
      expect(await word(asReader.set('public:a', '2'))).toBe('NOPERM');
      // What the service alone decides nobody can do, whatever the access string says.
      expect(await word(asWriter.config('GET', 'masterauth'))).toBe('NOPERM');
      expect(await word(asWriter.call('REPLICAOF', 'NO', 'ONE'))).toBe('NOPERM');
    });
  });

  test('a changed user may at once what it now may, on the connection it has', async () => {
    const [primary] = await members(id);
    const asReader = await login(primary!, reader, password(reader));
    const asWriter = await login(primary!, writer, password(writer));
    await larder.client.send(
      new ModifyUserCommand({
        UserId: reader,
        AccessString: 'on ~* +@read +@write',
        Passwords: [password(reader), password('another')],
      }),
    );
    await userActive(reader);
    await effect('ModifyUser', 'its connection stays and may more; both passwords log in', async () => {
      expect(await word(asReader.set('private:a', '1'))).toBe('OK');
      for (const place of await members(id)) {
        expect(await word(login(place, reader, password(reader)))).toBe('OK');
        expect(await word(login(place, reader, password('another')))).toBe('OK');
      }
    });
    expect(await asWriter.ping()).toBe('PONG');
  });

  test('one that is taken out is cut off, and nobody else', async () => {
    const [primary] = await members(id);
    const asReader = await login(primary!, reader, password(reader));
    const asWriter = await login(primary!, writer, password(writer));
    const cut = new Promise((resolve) => asReader.once('close', resolve));
    await larder.client.send(new ModifyUserGroupCommand({ UserGroupId: people, UserIdsToRemove: [reader] }));
    await groupActive(people);
    await effect('ModifyUserGroup', 'the connection of a user taken out ends, others go on', async () => {
      await cut;
      expect(await asWriter.ping()).toBe('PONG');
      expect(await word(login(primary!, reader, password(reader)))).toBe('WRONGPASS');
    });
    await larder.client.send(new ModifyUserGroupCommand({ UserGroupId: people, UserIdsToAdd: [reader] }));
    await groupActive(people);
    expect(await word(login(primary!, reader, password(reader)))).toBe('OK');
  });

  test('one that is deleted is cut off', async () => {
    const [primary] = await members(id);
    const asReader = await login(primary!, reader, password(reader));
    const cut = new Promise((resolve) => asReader.once('close', resolve));
    await larder.client.send(new DeleteUserCommand({ UserId: reader }));
    await effect('DeleteUser', 'its connection ends and it logs in nowhere', async () => {
      await cut;
      await waitFor(
        () => errorName(larder.client.send(new DescribeUsersCommand({ UserId: reader }))),
        (name) => name === 'UserNotFoundFault',
        { what: 'the user to be gone' },
      );
      for (const place of await members(id)) {
        expect(await word(login(place, reader, password(reader)))).toBe('WRONGPASS');
      }
    });
  });
});

test('from a token to user groups and back', async () => {
  const token = 'a-token-for-everybody';
  await user('app', 'on ~* +@all');
  await userGroup('apps', ['app']);
  await createGroup(larder, 'moving', {
    NumCacheClusters: 1,
    TransitEncryptionEnabled: true,
    AuthToken: token,
  });
  const place = (await groupAvailable(larder, 'moving')).NodeGroups![0]!.PrimaryEndpoint!;
  const old = await login(place, 'default', token);
  expect(await errorName(modify('moving', { UserGroupIdsToAdd: ['apps'] }))).toBe(
    'InvalidParameterCombinationException',
  );
  await modify('moving', { UserGroupIdsToAdd: ['apps'], AuthTokenUpdateStrategy: 'DELETE' });
  expect(await word(login(place, 'app', password('app')))).toBe('OK');
  expect(await word(login(place, 'default', token))).toBe('WRONGPASS');
  expect(await word(old.ping())).not.toBe('OK');
  await modify('moving', { RemoveUserGroups: true, AuthToken: token, AuthTokenUpdateStrategy: 'ROTATE' });
  await modify('moving', { AuthToken: token, AuthTokenUpdateStrategy: 'SET' });
  expect(await word(login(place, 'default', token))).toBe('OK');
  expect(await word(login(place, 'app', password('app')))).toBe('WRONGPASS');
});

test('IAM: a token signed with an access key is a password for a quarter of an hour', async () => {
  const Type = 'iam' as const;
  await user('robot', 'on ~* +@all', { AuthenticationMode: { Type } });
  await user('human', 'on ~* +@all');
  await userGroup('both', ['robot', 'human']);
  await createGroup(larder, 'tokens', {
    NumCacheClusters: 2,
    TransitEncryptionEnabled: true,
    UserGroupIds: ['both'],
  });
  const place = (await groupAvailable(larder, 'tokens')).NodeGroups![0]!.PrimaryEndpoint!;
  const now = new Date();
  const anHourAgo = new Date(now.getTime() - 3_600_000);
  const token = await iamToken(larder.access, 'tokens', 'robot', now);
  await effect('CreateUser', 'IAM tokens let their user in, others do not', async () => {
    const robot = await login(place, 'robot', token);
    expect(await robot.call('ACL', 'WHOAMI')).toBe('robot');
    expect(await robot.set('a', '1')).toBe('OK');
    const human = await login(place, 'human', password('human'));
    expect(await human.get('a')).toBe('1');
    const wrong = [
      await iamToken(larder.access, 'tokens', 'robot', anHourAgo),
      await iamToken(larder.access, 'another', 'robot', now),
      await iamToken(larder.access, 'tokens', 'human', now),
      await iamToken({ ...larder.access, secretAccessKey: 'wrong' }, 'tokens', 'robot', now),
      'robot',
    ];
    for (const each of wrong) expect(await word(login(place, 'robot', each))).toBe('WRONGPASS');
  });
});
