import { spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Input } from '@larder/contract/elasticache/model';
import { compareVersions, releaseOf, versionMatches } from '@larder/engine/engine';
import { familyName } from '@larder/engine/parameters/family';
import { engineStore } from '@larder/engine/store/engine-store';
import { type ScratchEngines, scratchEngines } from '@larder/fleet/scratch-engine';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { directories, searchPath } from '../../../../testing/config.ts';
import { type TestControl, testControl } from '../user/control.test-support.ts';
import { chooseParameterGroup, parameterGroupWantsClusterMode, parameterSettings } from './settings.ts';

const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
let folder: string;
let scratch: ScratchEngines;
let control: TestControl;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'larder-parameters-')));
  scratch = scratchEngines({
    directory: join(folder, 'scratch'),
    findBuild: async (engine, version) => (await store.find(engine, version))!,
  });
});

afterAll(async () => {
  await scratch.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  control = testControl({ scratch, engines: store });
});

afterEach(() => control.close());

const refused = (error: string, message?: string) => ({
  name: 'ServiceError',
  error,
  ...(message !== undefined && { message: expect.stringContaining(message) }),
});
const invalid = (message?: string) => refused('InvalidParameterValueException', message);
const badState = (message?: string) => refused('InvalidCacheParameterGroupStateFault', message);

const create = (name = 'mine', family = 'valkey9', more: Partial<Input<'CreateCacheParameterGroup'>> = {}) =>
  control.call('CreateCacheParameterGroup', {
    CacheParameterGroupName: name,
    CacheParameterGroupFamily: family,
    Description: `${name} of a test`,
    ...more,
  });
const pairs = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([ParameterName, ParameterValue]) => ({ ParameterName, ParameterValue }));
const modify = (values: Readonly<Record<string, string>>, name = 'mine') =>
  control.call('ModifyCacheParameterGroup', {
    CacheParameterGroupName: name,
    ParameterNameValues: pairs(values),
  });
/** What was set, by the API. */
async function userValues(name = 'mine'): Promise<Record<string, string>> {
  const { Parameters } = await control.call('DescribeCacheParameters', {
    CacheParameterGroupName: name,
    Source: 'user',
  });
  return Object.fromEntries(Parameters!.map((each) => [each.ParameterName!, each.ParameterValue!]));
}

describe('a parameter group', () => {
  test('is made, listed beside the default ones, and deleted', async () => {
    const { CacheParameterGroup: made } = await create('Mine', 'valkey9', {
      Tags: [{ Key: 'team', Value: 'shop' }],
    });
    expect(made).toEqual({
      CacheParameterGroupName: 'mine',
      CacheParameterGroupFamily: 'valkey9',
      Description: 'Mine of a test',
      IsGlobal: false,
      ARN: 'arn:aws:elasticache:us-east-1:000000000000:parametergroup:mine',
    });
    const all = await control.call('DescribeCacheParameterGroups', {});
    expect(all.CacheParameterGroups!.map((each) => each.CacheParameterGroupName)).toEqual([
      ...['default.memcached1.6', 'default.redis7', 'default.redis7.cluster.on', 'default.valkey8'],
      ...['default.valkey8.cluster.on', 'default.valkey9', 'default.valkey9.cluster.on', 'mine'],
    ]);
    expect(await control.call('ListTagsForResource', { ResourceName: made!.ARN! })).toEqual({
      TagList: [{ Key: 'team', Value: 'shop' }],
    });
    await control.call('DeleteCacheParameterGroup', { CacheParameterGroupName: 'MINE' });
    await expect(
      control.call('DescribeCacheParameterGroups', { CacheParameterGroupName: 'mine' }),
    ).rejects.toMatchObject(refused('CacheParameterGroupNotFoundFault'));
    expect(await control.database.selectFrom('tag').selectAll().execute()).toEqual([]);
    expect(await control.messages('cache-parameter-group')).toEqual([
      'Created cache parameter group mine',
      'Deleted cache parameter group mine',
    ]);
  });

  test('its name, family and number are checked', async () => {
    await create();
    await expect(create('MINE')).rejects.toMatchObject(refused('CacheParameterGroupAlreadyExistsFault'));
    for (const name of ['default.valkey9', '', 'a--b', '1a']) {
      await expect(create(name)).rejects.toMatchObject(invalid());
    }
    await expect(create('other', 'redis7.2')).rejects.toMatchObject(
      invalid('CacheParameterGroupFamily redis7.2 is not a valid parameter group family.'),
    );
    await control.database
      .insertInto('parameter_group')
      .values(
        Array.from({ length: 299 }, (_, index) => ({
          name: `g${index}`,
          family: 'redis7',
          description: '',
          settings: '{}',
        })),
      )
      .execute();
    await expect(create('other')).rejects.toMatchObject(refused('CacheParameterGroupQuotaExceededFault'));
  });
});

describe('changing it', () => {
  beforeEach(() => create());

  test('values are kept as the engine shows them', async () => {
    await modify({
      'repl-backlog-size': '32mb',
      'maxmemory-policy': 'allkeys-lfu',
      'notify-keyspace-events': 'KEA',
      'slowlog-max-len': '256',
      'client-output-buffer-limit-pubsub-hard-limit': '67108864',
      'reserved-memory-percent': '10',
      databases: '32',
    });
    expect(await userValues()).toEqual({
      'repl-backlog-size': '33554432',
      'maxmemory-policy': 'allkeys-lfu',
      'notify-keyspace-events': 'AKE',
      'slowlog-max-len': '256',
      'client-output-buffer-limit-pubsub-hard-limit': '67108864',
      'reserved-memory-percent': '10',
      databases: '32',
    });
    const settings = await parameterSettings(control.database, 'mine', '9.1.2');
    expect(settings.directives).toMatchObject({
      'repl-backlog-size': '33554432',
      'client-output-buffer-limit': 'normal 0 0 0 slave 268435456 67108864 60 pubsub 67108864 8388608 60',
    });
    expect(settings.reservedMemoryPercent).toBe(10);
    expect([...settings.atStart].sort()).toEqual(['cluster-databases', 'databases']);
    expect(await control.messages('cache-parameter-group')).toContain(
      'Modified client-output-buffer-limit-pubsub-hard-limit, databases, maxmemory-policy, notify-keyspace-events, repl-backlog-size, reserved-memory-percent, slowlog-max-len of cache parameter group mine',
    );
  });

  test.each([
    ['one that is not there', { 'reserved-memory': '1' }, "Parameter reserved-memory doesn't exist"],
    ["an object's own", { constructor: 'x' }, "Parameter constructor doesn't exist"],
    ["one of Larder's", { bind: '0.0.0.0' }, "Parameter bind doesn't exist"],
    ['one that is fixed', { maxclients: '1' }, 'maxclients cannot be modified'],
    ['a word that is none of its values', { 'maxmemory-policy': 'sometimes' }, 'volatile-lru'],
    ['a number outside', { 'active-expire-effort': '11' }, '1-10'],
    ['what the engine alone knows to be wrong', { 'repl-backlog-size': 'much' }, 'repl-backlog-size'],
    ['what only the engine can check', { 'notify-keyspace-events': 'KEx?' }, 'notify-keyspace-events'],
    ['part of a directive', { 'client-output-buffer-limit-pubsub-hard-limit': '1x' }, 'pubsub-hard-limit'],
    ['a line break', { 'notify-keyspace-events': 'K\nbind 0.0.0.0' }, 'notify-keyspace-events'],
    ['a word too many', { 'maxmemory-clients': '1 2' }, 'maxmemory-clients'],
    ['a huge value', { 'notify-keyspace-events': 'K'.repeat(100_000) }, 'notify-keyspace-events'],
  ])('%s is refused, and nothing else is changed', async (_, wrong, message) => {
    await expect(modify({ timeout: '300', ...wrong })).rejects.toMatchObject(invalid(message));
    expect(await userValues()).toEqual({});
    expect(await control.messages('cache-parameter-group')).toHaveLength(1);
  });

  test('is for 1 to 20 parameters, each once, of a group that is not a default one', async () => {
    await expect(modify({})).rejects.toMatchObject(invalid('20'));
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`p${index}`, '1']));
    await expect(modify(many)).rejects.toMatchObject(invalid('21'));
    await expect(
      control.call('ModifyCacheParameterGroup', {
        CacheParameterGroupName: 'mine',
        ParameterNameValues: [...pairs({ timeout: '60' }), ...pairs({ timeout: '90' })],
      }),
    ).rejects.toMatchObject(invalid('twice'));
    await expect(modify({ timeout: '60' }, 'default.valkey9')).rejects.toMatchObject(badState());
    await expect(modify({ timeout: '60' }, 'other')).rejects.toMatchObject(
      refused('CacheParameterGroupNotFoundFault'),
    );
  });

  test('resets the listed parameters or all, not both and not neither', async () => {
    await modify({ timeout: '60', 'maxmemory-policy': 'noeviction', 'lfu-decay-time': '2' });
    const reset = (more: Partial<Input<'ResetCacheParameterGroup'>>) =>
      control.call('ResetCacheParameterGroup', { CacheParameterGroupName: 'mine', ...more });
    expect(await reset({ ParameterNameValues: [{ ParameterName: 'timeout' }] })).toEqual({
      CacheParameterGroupName: 'mine',
    });
    expect(await userValues()).toEqual({ 'maxmemory-policy': 'noeviction', 'lfu-decay-time': '2' });
    await expect(reset({ ParameterNameValues: [{ ParameterName: 'nothing' }] })).rejects.toMatchObject(
      invalid("Parameter nothing doesn't exist"),
    );
    const combination = refused('InvalidParameterCombinationException');
    await expect(reset({})).rejects.toMatchObject(combination);
    await expect(
      reset({ ResetAllParameters: true, ParameterNameValues: [{ ParameterName: 'timeout' }] }),
    ).rejects.toMatchObject(combination);
    await reset({ ResetAllParameters: true });
    expect(await userValues()).toEqual({});
  });

  test('wakes those who use it; while they do it stays, and so does their cluster mode', async () => {
    await control.attach('shop', [], { parameterGroup: 'mine' });
    await control.attach('other', [], { parameterGroup: 'default.valkey9' });
    await modify({ timeout: '60' });
    expect(control.woken).toEqual(['replication-group:shop']);
    await expect(
      control.call('DeleteCacheParameterGroup', { CacheParameterGroupName: 'mine' }),
    ).rejects.toMatchObject(badState('are still members of this parameter group'));
    await expect(modify({ 'cluster-enabled': 'yes' })).rejects.toMatchObject(badState('shop'));
    expect(await userValues()).toEqual({ timeout: '60' });
  });
});

describe('Memcached', () => {
  test('has parameters that no engine is asked about', async () => {
    await create('mine', 'memcached1.6');
    await modify({ idle_timeout: '60', chunk_size_growth_factor: '1.5' });
    await expect(modify({ chunk_size_growth_factor: '0.9' })).rejects.toMatchObject(invalid('1.01-1024'));
    await expect(modify({ 'maxmemory-policy': 'noeviction' })).rejects.toMatchObject(
      invalid("doesn't exist"),
    );
    const { directives, atStart } = await parameterSettings(control.database, 'mine', '1.6.18');
    expect(directives).toMatchObject({
      idle_timeout: '60',
      chunk_size_growth_factor: '1.5',
      cas_disabled: '0',
    });
    expect(directives).not.toHaveProperty('max_simultaneous_connections');
    expect([...atStart].sort()).toEqual(Object.keys(directives).sort());
  });
});

describe('which group a request means', () => {
  const of = { engine: 'valkey', version: '9.1.2', clusterEnabled: false } as const;
  const choose = (requested?: string, change: Partial<Parameters<typeof chooseParameterGroup>[2]> = {}) =>
    chooseParameterGroup(control.database, requested, { ...of, ...change });
  const combination = refused('InvalidParameterCombinationException');

  test('the default one of its family, or a named one that fits', async () => {
    await create();
    await create('sharded');
    await modify({ 'cluster-enabled': 'yes' }, 'sharded');
    expect(await choose()).toBe('default.valkey9');
    expect(await choose(undefined, { clusterEnabled: true })).toBe('default.valkey9.cluster.on');
    expect(await choose(undefined, { engine: 'memcached', version: '1.6.18' })).toBe('default.memcached1.6');
    expect(await choose('Mine')).toBe('mine');
    expect(await choose('sharded', { clusterEnabled: true })).toBe('sharded');
    expect(await parameterGroupWantsClusterMode(control.database, 'sharded')).toBe(true);
    expect(await parameterGroupWantsClusterMode(control.database, 'mine')).toBe(false);
    expect(await parameterGroupWantsClusterMode(control.database, undefined)).toBe(false);
  });

  test('another family, another cluster mode and a version without a family do not fit', async () => {
    await create('old', 'redis7');
    await create();
    await expect(choose('none')).rejects.toMatchObject(refused('CacheParameterGroupNotFoundFault'));
    for (const wrong of [
      choose('old'),
      choose('mine', { clusterEnabled: true }),
      choose('default.valkey9.cluster.on'),
      choose('default.memcached1.6'),
      choose(undefined, { version: '7.2.4' }),
    ]) {
      await expect(wrong).rejects.toMatchObject(combination);
    }
  });
});

describe('as clients read it', () => {
  test('parameters come in pages, each once, with all that is known of them', async () => {
    await create();
    await modify({ timeout: '60' });
    const seen: string[] = [];
    for (let marker: string | undefined; ; ) {
      const page = await control.call('DescribeCacheParameters', {
        CacheParameterGroupName: 'mine',
        MaxRecords: 20,
        Marker: marker,
      });
      seen.push(...page.Parameters!.map((each) => each.ParameterName!));
      marker = page.Marker;
      if (marker === undefined) break;
    }
    expect(seen.length).toBeGreaterThan(60);
    expect(new Set(seen).size).toBe(seen.length);
    const { Parameters, CacheNodeTypeSpecificParameters } = await control.call('DescribeCacheParameters', {
      CacheParameterGroupName: 'mine',
    });
    expect(Parameters!.find((each) => each.ParameterName === 'timeout')).toEqual({
      ParameterName: 'timeout',
      ParameterValue: '60',
      Description: expect.any(String),
      Source: 'user',
      DataType: 'integer',
      AllowedValues: '0,20-2147483647',
      IsModifiable: true,
      MinimumEngineVersion: '9.0.0',
      ChangeType: 'immediate',
    });
    expect(Parameters!.find((each) => each.ParameterName === 'maxmemory-policy')).toMatchObject({
      ParameterValue: 'volatile-lru',
      Source: 'system',
    });
    expect(CacheNodeTypeSpecificParameters).toMatchObject([{ ParameterName: 'maxmemory' }]);
    const sources = await Promise.all(
      ['user', 'system', 'engine-default'].map(async (Source) => {
        const some = await control.call('DescribeCacheParameters', {
          CacheParameterGroupName: 'mine',
          Source,
        });
        return some.Parameters!.length;
      }),
    );
    expect(sources[0]).toBe(1);
    expect(sources.reduce((sum, each) => sum + each)).toBe(seen.length);
    await expect(
      control.call('DescribeCacheParameters', { CacheParameterGroupName: 'mine', Source: 'mine' }),
    ).rejects.toMatchObject(invalid());
  });

  test('engine defaults carry their marker inside', async () => {
    const { EngineDefaults } = await control.call('DescribeEngineDefaultParameters', {
      CacheParameterGroupFamily: 'redis7',
      MaxRecords: 20,
    });
    expect(EngineDefaults).toMatchObject({ CacheParameterGroupFamily: 'redis7', Marker: expect.any(String) });
    expect(EngineDefaults!.Parameters).toHaveLength(20);
    await expect(
      control.call('DescribeEngineDefaultParameters', { CacheParameterGroupFamily: 'redis5.0' }),
    ).rejects.toMatchObject(invalid('redis5.0'));
  });

  test('engine versions are those of the store', async () => {
    const builds = await store.list();
    const { CacheEngineVersions: all } = await control.call('DescribeCacheEngineVersions', {});
    for (const { Engine, EngineVersion, CacheParameterGroupFamily } of all!) {
      const build = builds.find(
        (each) => each.engine === Engine && versionMatches(each.version, EngineVersion!),
      );
      expect(CacheParameterGroupFamily).toBe(familyName(build!.engine, build!.version));
    }
    const defaults = await control.call('DescribeCacheEngineVersions', { DefaultOnly: true });
    expect(defaults.CacheEngineVersions!.map(({ Engine }) => Engine)).toEqual([
      'memcached',
      'redis',
      'valkey',
    ]);
    const newest = builds
      .filter(({ engine }) => engine === 'valkey')
      .map(({ version }) => version)
      .sort(compareVersions)
      .at(-1)!;
    const valkey = await control.call('DescribeCacheEngineVersions', {
      Engine: 'valkey',
      EngineVersion: newest,
    });
    expect(valkey.CacheEngineVersions).toMatchObject([
      { Engine: 'valkey', CacheEngineVersionDescription: `Valkey version ${releaseOf(newest)}` },
    ]);
    const none = await control.call('DescribeCacheEngineVersions', { CacheParameterGroupFamily: 'redis2.6' });
    expect(none.CacheEngineVersions).toEqual([]);
  });
});

describe('every default', () => {
  const families = ['valkey9', 'valkey8', 'redis7'] as const;

  test.each(
    families,
  )('of %s is what the engine shows once it is set, and an engine starts with it', async (family) => {
    const engine = family.replace(/\d+$/, '') as 'valkey' | 'redis';
    const build = (await store.list()).find((each) => familyName(each.engine, each.version) === family);
    // A second line of an engine is here only where somebody installed it.
    if (build === undefined && family !== 'valkey9' && family !== 'redis7') return;
    const { version } = build!;
    for (const suffix of ['', '.cluster.on']) {
      const settings = await parameterSettings(control.database, `default.${family}${suffix}`, version);
      const live = Object.entries(settings.directives).filter(([name]) => !settings.atStart.has(name));
      const [set, ...gets] = await scratch.ask(engine, version, [
        ['CONFIG', 'SET', ...live.flat()],
        ...live.map(([name]) => ['CONFIG', 'GET', name]),
      ]);
      expect(set).toEqual({ ok: true, value: 'OK' });
      expect(gets).toEqual(live.map((value) => ({ ok: true, value })));

      const lines = Object.entries(settings.directives).map(([name, value]) => `${name} ${value || '""'}`);
      const file = join(folder, `${family}${suffix}.conf`);
      await writeFile(file, ['port 0', `unixsocket ${file}.sock`, 'save ""', ...lines, ''].join('\n'));
      const { file: program, args } = build!.command;
      const child = spawn(program, [...args, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      const ready = new Promise<boolean>((resolve) => {
        child.stdout.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (/ready to accept connections/i.test(text)) resolve(true);
        });
        child.once('exit', () => resolve(false));
      });
      const started = await ready;
      child.kill('SIGKILL');
      expect(started, text).toBe(true);
    }
  });
});
