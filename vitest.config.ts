import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run the sources; only child processes that tests start run the build.
    alias: [
      ...libraryAliases(),
      {
        find: /^@larder\/storefront\/postgres\/(.*)$/,
        replacement: `${root}apps/storefront/src/postgres/$1.ts`,
      },
      {
        find: /^@larder\/(contract|engine|fleet|metrics|control)\/(.*)$/,
        replacement: `${root}packages/$1/src/$2.ts`,
      },
    ],
  },
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'bench/**/*.test.ts',
      'simulation/**/*.test.ts',
      'tools/*.test.ts',
      'e2e/**/*.test.ts',
    ],
    globalSetup: ['testing/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});

/** Each way into @larder/cache, as its package.json declares it. */
function libraryAliases(): { readonly find: RegExp; readonly replacement: string }[] {
  const folder = `${root}packages/cache/`;
  const { exports } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as {
    readonly exports: Readonly<Record<string, string | { readonly source: string }>>;
  };
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'string'
      ? []
      : [
          {
            find: new RegExp(`^@larder/cache${path.slice(1)}$`),
            replacement: folder + target.source.slice(2),
          },
        ],
  );
}
