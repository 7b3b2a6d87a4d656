import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parameterFamilies } from '@larder/engine/parameters/family';
import { memcachedArguments, memcachedParameters } from '@larder/engine/parameters/memcached';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import { scratchEngines } from '@larder/fleet/scratch-engine';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directories, searchPath } from '../testing/config.ts';
import { buildFamily, families } from './families/build-family.ts';
import { memcachedSettings } from './families/read-memcached.ts';

const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
let folder: string;
let scratch: ReturnType<typeof scratchEngines>;
const compared: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'larder-families-'));
  scratch = scratchEngines({
    directory: folder,
    findBuild: async (engine, version) => (await store.find(engine, version))!,
  });
});

afterAll(async () => {
  await scratch.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the families on record are what the engines say', () => {
  test.each(families)('$family', async (family) => {
    const builds = await Promise.all(family.lines.map((line) => store.find(family.engine, line)));
    // A second line of an engine is here only where somebody installed it.
    if (!builds.every((build) => build !== undefined)) return;
    const built = await buildFamily(family, builds as EngineBuild[], scratch);
    const file = new URL(`../packages/engine/families/${family.family}.json`, import.meta.url);
    expect(built, 'npm run families').toEqual(JSON.parse(await readFile(file, 'utf8')));
    compared.push(family.engine);
  });

  test('of every engine at least one', () => {
    expect([...new Set(compared)].sort()).toEqual(['memcached', 'redis', 'valkey']);
    expect([...parameterFamilies().keys()]).toEqual(families.map(({ family }) => family));
  });
});

describe('Memcached', () => {
  const other: Readonly<Record<string, string>> = {
    backlog_queue_limit: '77',
    binding_protocol: 'ascii',
    chunk_size: '64',
    chunk_size_growth_factor: '1.5',
    hashpower_init: '17',
    idle_timeout: '60',
    max_item_size: '2097152',
    requests_per_event: '7',
    slab_automove: '0',
    watcher_logbuf_size: '512',
  };

  test.each(Object.entries(memcachedParameters))('%s has its effect', async (name, parameter) => {
    const build = (await store.find('memcached'))!;
    const family = parameterFamilies().get('memcached1.6')!;
    const before = family.parameters.find((each) => each.name === name)!.value;
    const value = other[name] ?? (before === '1' ? '0' : '1');
    expect(value).not.toBe(before);
    const settings = await memcachedSettings(build, memcachedArguments({ [name]: value }));
    expect(parameter.read(settings.get(parameter.setting)!)).toBe(value);
  });

  test('starts with whatever values are allowed together', async () => {
    const build = (await store.find('memcached'))!;
    const valueIn = (allowed: string): fc.Arbitrary<string> =>
      fc.oneof(
        ...allowed.split(',').map((each) => {
          const range = /^(\d+)-(\d+)$/.exec(each);
          return range === null
            ? fc.constant(each.includes('-') ? '1.25' : each)
            : fc.integer({ min: Number(range[1]), max: Number(range[2]) }).map(String);
        }),
      );
    const parameters = fc.record(
      Object.fromEntries(
        Object.entries(memcachedParameters).map(([name, each]) => [name, valueIn(each.allowedValues)]),
      ),
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(parameters, async (values) => {
        // One that speaks the binary protocol alone could not be asked.
        const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== 'binary');
        const args = memcachedArguments(Object.fromEntries(given) as Record<string, string>);
        expect((await memcachedSettings(build, ['-m', '512', ...args])).size).toBeGreaterThan(0);
      }),
      { numRuns: 15 },
    );
  });
});
