import { expect, test } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

test('defaults, and paths from the working directory', () => {
  expect(parseOptions([], '/home/me')).toMatchObject({ once: false, secondsPerMode: 30, seed: 1 });
  expect(parseOptions(['--once', '--report', 'out/r.json', '--data', 'a.csv'], '/home/me')).toMatchObject({
    once: true,
    reportPath: '/home/me/out/r.json',
    dataPath: '/home/me/a.csv',
  });
  expect(parseOptions(['--help'], '/')).toBe('help');
});

test.each([
  [['--rate', 'fast'], '--rate must be a whole number from 10 to 20000, not "fast".'],
  [['--seconds', '1'], '--seconds must be a whole number from 5 to 600, not "1".'],
  [['--report', 'r.json'], '--report needs --once.'],
  [['--once', '--data', ''], '--data needs a file name.'],
])('%j is refused with a sentence', (args, sentence) => {
  expect(() => parseOptions(args, '/')).toThrow(new UsageError(sentence));
});

test('an unknown flag and a word too many are refused', () => {
  expect(() => parseOptions(['--nonsense'], '/')).toThrow(UsageError);
  expect(() => parseOptions(['sale'], '/')).toThrow(UsageError);
});
