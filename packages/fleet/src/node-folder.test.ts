import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFolders } from './node-folder.ts';

test('what a crash left half written is gone after the next start, what is whole stays', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'larder-folders-'));
  try {
    const folders = nodeFolders(directory);
    const spec = { nodeId: 'a.0001', settings: { engine: 'memcached' } } as Parameters<
      typeof folders.prepare
    >[0];
    await folders.prepare(spec);
    await writeFile(join(folders.path('a.0001'), 'spec.json.partial'), '{"nodeId":');
    expect(await nodeFolders(directory).readAll()).toEqual([{ spec }]);
    expect(await readdir(folders.path('a.0001'))).toEqual(['spec.json']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
