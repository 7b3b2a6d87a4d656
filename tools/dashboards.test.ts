import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceFamilies } from '@larder/control/exposition/families';
import { nodeFamilies } from '@larder/metrics/exposition/node-families';
import { expect, test } from 'vitest';
import { rootFolder } from '../bench/root-folder.ts';
import { dashboardFiles } from './dashboards/files.ts';

/** What the library's adapters are called; packages/cache tests that they are. */
const libraryNames = ['larder_cache_compared_entries_total', 'larder_cache_stale_entries_total'];

function sampleNames({ name, kind }: { readonly name: string; readonly kind: string }): string[] {
  if (kind === 'counter') return [`${name}_total`];
  return kind === 'summary' ? [`${name}_sum`, `${name}_count`] : [name];
}

test('what is generated is as the list of metrics is now: else npm run dashboards', () => {
  for (const [path, content] of dashboardFiles()) {
    expect(readFileSync(join(rootFolder, path), 'utf8')).toBe(content);
  }
});

test('dashboard and rules name only what is exposed', () => {
  const exposed = new Set([
    ...[...nodeFamilies, ...Object.values(serviceFamilies)].flatMap(sampleNames),
    ...libraryNames,
  ]);
  let named = 0;
  for (const content of dashboardFiles().values()) {
    for (const [name] of content.matchAll(/\blarder_[a-z0-9_]+/g)) {
      expect(exposed).toContain(name);
      named += 1;
    }
  }
  expect(named).toBeGreaterThan(150);
});
