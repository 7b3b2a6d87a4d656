import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  checkAll,
  checkArrows,
  checkBarrels,
  checkCycles,
  checkEnvironment,
  checkMocks,
  checkNames,
  checkPure,
  importsOf,
  signals,
} from './tidy.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function repository() {
  const paths = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return paths
    .split('\n')
    .filter((path) => /\.(ts|mjs)$/.test(path))
    .flatMap((path) => {
      try {
        return [{ path, text: readFileSync(`${root}${path}`, 'utf8') }];
      } catch {
        // Deleted but not yet committed.
        return [];
      }
    });
}

describe('this repository', () => {
  const files = repository();

  test('keeps the rules of the house', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(checkAll(files)).toEqual([]);
  });

  test('signals, not rules: the longest and the most changed files', () => {
    const { longest } = signals(files, 8);
    const changes = new Map<string, number>();
    const log = execFileSync('git', ['log', '--name-only', '--format='], { cwd: root, encoding: 'utf8' });
    for (const path of log.split('\n').filter((each) => each.endsWith('.ts'))) {
      changes.set(path, (changes.get(path) ?? 0) + 1);
    }
    const changed = [...changes].sort((a, b) => b[1] - a[1]).slice(0, 8);
    const rows = (list: readonly (readonly [string, number])[]) =>
      list.map(([path, count]) => `  ${String(count).padStart(5)}  ${path}`).join('\n');
    console.log(`lines, longest files\n${rows(longest)}\ncommits, most changed files\n${rows(changed)}`);
    expect(longest.length).toBeGreaterThan(0);
  });
});

describe('each rule sees its fault', () => {
  const one = (path: string, text: string) => [{ path, text }];

  test('imports are read in all their forms', () => {
    const text = [
      "import a from 'a';",
      "import type { B } from 'b';",
      "import {\n  c,\n  type D,\n} from './c.ts';",
      "export { e } from 'e';",
      "export const x = 'not an import';",
      "const f = await import('f');",
    ].join('\n');
    expect(importsOf(text)).toEqual([
      { from: 'a', typeOnly: false },
      { from: 'b', typeOnly: true },
      { from: './c.ts', typeOnly: false },
      { from: 'e', typeOnly: false },
      { from: 'f', typeOnly: false },
    ]);
  });

  test('an arrow against the grain', () => {
    const found = checkArrows(one('packages/engine/src/a.ts', "import { x } from '@larder/control/x';"));
    expect(found).toHaveLength(1);
    expect(checkArrows(one('packages/control/src/a.ts', "import { x } from '@larder/engine/x';"))).toEqual(
      [],
    );
    expect(
      checkArrows(one('packages/cache/src/a.ts', "import { x } from '@larder/contract/x';")),
    ).toHaveLength(1);
  });

  test('a relative import that leaves its package', () => {
    expect(
      checkArrows(one('packages/fleet/src/a.ts', "import { x } from '../../engine/src/x.ts';")),
    ).toHaveLength(1);
  });

  test('a package that nobody planned', () => {
    expect(checkArrows(one('packages/stuff/src/a.ts', ''))).toHaveLength(1);
  });

  test('a cycle, but not one of types alone', () => {
    const a = { path: 'packages/fleet/src/a.ts', text: "import { b } from './b.ts';" };
    const b = { path: 'packages/fleet/src/b.ts', text: "import { a } from './a.ts';" };
    const typeOnly = { ...b, text: "import type { A } from './a.ts';" };
    expect(checkCycles([a, b])).toHaveLength(1);
    expect(checkCycles([a, typeOnly])).toEqual([]);
  });

  test('a pure file with effects', () => {
    const path = 'packages/control/src/thing/plan.ts';
    expect(checkPure(one(path, 'export const at = Date.now();'))).toHaveLength(1);
    expect(checkPure(one(path, "import { readFileSync } from 'node:fs';"))).toHaveLength(1);
    expect(checkPure(one(path, 'export async function f() { await g(); }'))).toHaveLength(1);
    expect(
      checkPure(one('packages/fleet/src/x.ts', '/** (pure) It. */ const a = Math.random();')),
    ).toHaveLength(1);
    expect(checkPure(one('packages/fleet/src/x.ts', 'const a = Math.random();'))).toEqual([]);
    const effects = {
      path: 'packages/control/src/thing/io.ts',
      text: "import { readFileSync } from 'node:fs';",
    };
    expect(checkPure([{ path, text: "import { x } from './io.ts';" }, effects])).toHaveLength(1);
  });

  test('drawers, barrels, the environment and mocks', () => {
    expect(checkNames(one('packages/fleet/src/utils.ts', ''))).toHaveLength(1);
    expect(checkNames(one('packages/fleet/src/helpers/x.ts', ''))).toHaveLength(1);
    expect(checkBarrels(one('packages/fleet/src/index.ts', 'const a = 1;'))).toHaveLength(1);
    expect(checkBarrels(one('packages/fleet/src/all.ts', "export { a } from './a.ts';"))).toHaveLength(1);
    expect(checkBarrels(one('packages/fleet/src/b.ts', "export { a } from './a.ts';\nconst b = 1;"))).toEqual(
      [],
    );
    expect(checkEnvironment(one('packages/fleet/src/a.ts', 'process.env.HOME'))).toHaveLength(1);
    expect(checkEnvironment(one('apps/larder/src/config.ts', 'process.env.HOME'))).toEqual([]);
    expect(checkMocks(one('packages/fleet/src/a.test.ts', "vi.mock('x')"))).toHaveLength(1);
  });
});
