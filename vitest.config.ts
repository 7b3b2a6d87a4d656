import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run the sources; only child processes that tests start run the build.
    alias: [
      { find: /^@larder\/cache$/, replacement: `${root}packages/cache/src/cache.ts` },
      { find: /^@larder\/cache\/testkit$/, replacement: `${root}packages/cache/src/testkit/testkit.ts` },
      { find: /^@larder\/cache\/postgres$/, replacement: `${root}packages/cache/src/feed/postgres.ts` },
      {
        find: /^@larder\/cache\/(ioredis|node-redis)$/,
        replacement: `${root}packages/cache/src/driver/$1.ts`,
      },
      {
        find: /^@larder\/storefront\/postgres\/(.*)$/,
        replacement: `${root}apps/storefront/src/postgres/$1.ts`,
      },
      {
        find: /^@larder\/(contract|engine|fleet|control)\/(.*)$/,
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
