import { expect, test } from 'vitest';
import { childEnvironment, MissingEnvironment, shopDirectories } from './config.ts';

test('the variables win, then the places of the system', () => {
  expect(shopDirectories({ LARDER_DATA_DIR: '/d', LARDER_CACHE_DIR: '/c' }, 1000)).toEqual({
    data: '/d',
    cache: '/c',
  });
  expect(shopDirectories({}, 0)).toEqual({ data: '/var/lib/larder', cache: '/var/cache/larder' });
  expect(shopDirectories({ HOME: '/home/me' }, 1000)).toEqual({
    data: '/home/me/.local/share/larder',
    cache: '/home/me/.cache/larder',
  });
  expect(() => shopDirectories({}, 1000)).toThrow(MissingEnvironment);
});

test('child processes see no more of the environment than they need', () => {
  const environment = childEnvironment(
    { data: '/d', cache: '/c' },
    { PATH: '/bin', AWS_SECRET_ACCESS_KEY: 'x' },
  );
  expect(environment).toEqual({ PATH: '/bin', LARDER_DATA_DIR: '/d', LARDER_CACHE_DIR: '/c' });
});
