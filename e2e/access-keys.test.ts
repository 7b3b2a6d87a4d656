/** Access keys that come and go while the service runs, by the command line and the real SDK. */
import {
  CreateUserCommand,
  DeleteUserCommand,
  DescribeUsersCommand,
  type ElastiCacheClient,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { elastiCacheClient, larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';

let larder: TestLarder;
const clients: ElastiCacheClient[] = [];
beforeAll(async () => {
  larder = await startLarder({ logLevel: 'debug' });
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await larder.remove();
});

const keys = (...words: string[]) => larderCommand(['keys', ...words, '--data-dir', larder.dataDirectory]);

async function addKey(...words: string[]) {
  const { stdout } = await keys('add', '--json', ...words);
  const key = JSON.parse(stdout) as { accessKeyId: string; secretAccessKey: string; rights: string };
  const client = elastiCacheClient(larder.access, key);
  clients.push(client);
  return { key, client };
}

const user = (id: string) =>
  new CreateUserCommand({
    UserId: id,
    UserName: id,
    Engine: 'valkey',
    AccessString: 'on ~* +@all',
    Passwords: ['hunter2-hunter2-hunter2'],
  });

test('a read-only key reads at once, changes nothing, and is refused as soon as it is removed', async () => {
  const { key, client } = await addKey();
  expect(key.rights).toBe('read-only');
  expect((await client.send(new DescribeUsersCommand({}))).Users).toMatchObject([{ UserId: 'default' }]);
  await expect(client.send(user('app'))).rejects.toMatchObject({
    name: 'AccessDenied',
    $metadata: { httpStatusCode: 403 },
  });
  expect((await larder.client.send(new DescribeUsersCommand({}))).Users).toHaveLength(1);
  expect(await keys('rm', key.accessKeyId)).toMatchObject({ code: 0 });
  await expect(client.send(new DescribeUsersCommand({}))).rejects.toMatchObject({
    name: 'InvalidClientTokenId',
  });
});

test('a second operator changes things, and keys outlive the service', async () => {
  const { key, client } = await addKey('--rights', 'operator');
  expect(await client.send(user('app'))).toMatchObject({ Status: 'active', MinimumEngineVersion: '7.2' });
  await larder.restart();
  const again = elastiCacheClient(larder.access, key);
  clients.push(again);
  expect(await again.send(new DeleteUserCommand({ UserId: 'app' }))).toMatchObject({ Status: 'deleting' });
});

test('a list has no secrets; the log has neither theirs nor a password', async () => {
  const { key } = await addKey();
  const { stdout } = await keys('ls', '--json');
  const listed = JSON.parse(stdout) as { accessKeyId: string; rights: string }[];
  expect(listed.find(({ accessKeyId }) => accessKeyId === key.accessKeyId)).toMatchObject({
    rights: 'read-only',
  });
  expect(listed[0]).toMatchObject({ accessKeyId: larder.access.accessKeyId, rights: 'operator' });
  for (const text of [stdout, (await keys('ls')).stdout, larder.log]) {
    expect(text).not.toContain(key.secretAccessKey);
    expect(text).not.toContain(larder.access.secretAccessKey);
  }
  expect(larder.log).toContain('CreateUser');
  expect(larder.log).not.toContain('hunter2');
});

test('what is asked wrongly is told how to ask', async () => {
  expect(await keys('add', '--rights', 'root')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('operator or read-only'),
  });
  expect(await keys('rm', 'LARDERX')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"larder keys ls"'),
  });
  expect(await keys('rm')).toMatchObject({ code: 2 });
  const nowhere = await larderCommand(['keys', 'ls', '--data-dir', `${larder.dataDirectory}-none`]);
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('larder server') });
});
