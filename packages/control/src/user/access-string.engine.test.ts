import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { versionLine } from '@larder/engine/engine';
import { engineStore } from '@larder/engine/store/engine-store';
import { type ScratchEngines, scratchEngines } from '@larder/fleet/scratch-engine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directories, searchPath } from '../../../../testing/config.ts';
import { checkAccessString } from './access-string.ts';

const engines = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
let directory: string;
let scratch: ScratchEngines;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'larder-access-'));
  scratch = scratchEngines({
    directory,
    findBuild: async (engine, version) => (await engines.find(engine, version))!,
  });
});
afterAll(async () => {
  await scratch.close();
  await rm(directory, { recursive: true, force: true });
});

const check = (accessString: string, engine: 'valkey' | 'redis', store = engines) =>
  checkAccessString({ engines: store, scratch }, accessString, engine, 'password');

describe.each(['valkey', 'redis'] as const)('%s takes', (engine) => {
  test.each([
    'on ~* +@all',
    'off',
    'on ~app:* &news:* -@all +@read +@write -keys +client|id',
    'on %R~a* %W~b* (~c* +get) ( %RW~d* +@hash )',
    'on allkeys allchannels allcommands nocommands resetkeys resetchannels clearselectors',
  ])('%s', async (accessString) => {
    const { rules } = await check(accessString, engine);
    expect(rules.length).toBeGreaterThan(0);
  });

  test.each([
    'on +@nosuch',
    'on +nosuch',
    'on )',
    'on (on)',
    'on (~* +nosuch)',
    'whatever',
    'on +get|',
    'on ~* +@all db=x',
  ])('not %s', async (accessString) => {
    await expect(check(accessString, engine)).rejects.toMatchObject({
      error: 'InvalidParameterValueException',
      message: expect.stringContaining('ACL SETUSER modifier'),
    });
  });
});

test('what an older version of the engine does not know raises the minimum', async () => {
  const versions = (await engines.list()).filter((build) => build.engine === 'valkey');
  const newest = versionLine(versions[0]!.version);
  // A command of Valkey 9.0 and an access rule of 9.1.
  expect((await check('on ~* +hexpire', 'valkey')).minimumEngineVersion).toBe(
    versions.length > 1 ? newest : '7.2',
  );
  expect((await check('on ~* db=0 +get', 'valkey')).minimumEngineVersion).toBe('9.1');
  expect((await check('on ~* +get', 'valkey')).minimumEngineVersion).toBe('7.2');
});

test("Valkey answers for Redis' users where no Redis is, and nobody where nothing is", async () => {
  const without = (...left: string[]) => ({
    ...engines,
    list: async () => (await engines.list()).filter(({ engine }) => left.includes(engine)),
  });
  const { minimumEngineVersion } = await check('on ~* +@all', 'redis', without('valkey'));
  expect(minimumEngineVersion).toBe('6.0');
  await expect(check('on', 'valkey', without('memcached'))).rejects.toMatchObject({
    error: 'InvalidParameterValueException',
    hint: 'Run "larder engines install valkey".',
  });
});

test('no engine that answers is no fault of the access string', async () => {
  const broken = {
    ask: async () => Promise.reject(new Error('no engine')),
    close: async () => undefined,
  };
  await expect(
    checkAccessString({ engines, scratch: broken }, 'on', 'valkey', 'password'),
  ).rejects.toMatchObject({ error: 'ServiceUnavailable' });
});
