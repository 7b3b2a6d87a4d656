/** The promise: `larder events --follow` tells what happens as it happens, once, also over a restart of the service. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CreateUserCommand } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rootFolder } from '../bench/root-folder.ts';
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { waitFor } from '../testing/wait-for.ts';

let larder: TestLarder;
beforeAll(async () => {
  larder = await startLarder();
});
afterAll(() => larder?.remove());

const createUser = (UserId: string) =>
  larder.client.send(
    new CreateUserCommand({
      UserId,
      UserName: UserId,
      Engine: 'valkey',
      AccessString: 'on ~* +@read',
      NoPasswordRequired: true,
    }),
  );

test('events are followed, each once, over a kill of the service', async () => {
  await createUser('first');
  const program = join(rootFolder, 'apps', 'larder', 'dist', 'main.js');
  const follower = spawn(
    process.execPath,
    [program, 'events', '--follow', '--json', '--data-dir', larder.dataDirectory],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    let text = '';
    follower.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const seen = () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as { SourceIdentifier: string }).SourceIdentifier);
    const until = (id: string) => waitFor(seen, (ids) => ids.includes(id), { what: `the event of ${id}` });
    await until('first');
    await createUser('second');
    await until('second');
    await larder.restart();
    await createUser('third');
    await until('third');
    expect(seen()).toEqual(['first', 'second', 'third']);
  } finally {
    follower.kill();
  }
  const { code, stdout } = await larderCommand(['events', '--data-dir', larder.dataDirectory]);
  expect([code, stdout.trim().split('\n')]).toEqual([
    0,
    [1, 2, 3].map(() => expect.stringContaining(' user ')),
  ]);
});
