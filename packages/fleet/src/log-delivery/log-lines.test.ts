import { expect, test } from 'vitest';
import { formatEngineLine, parseEngineLog } from './engine-log.ts';
import { type LogSource, logPath } from './log-stream.ts';
import { formatSlowEntry, parseSlowLog } from './slow-log.ts';

const source: LogSource = {
  nodeId: 'shop-001.0001',
  engine: 'valkey',
  clusterId: 'shop-001',
  cacheNodeId: '0001',
};

test('a path names the stream, and no destination leads out of the folder of logs', () => {
  const stream = 'elasticache/valkey/shop-001/0001/slow-log';
  for (const [destination, folders] of [
    ['/aws/shop', 'aws/shop/'],
    ['a//b/', 'a/b/'],
    ['../../etc', '%2E%2E/%2E%2E/etc/'],
    ['/..', '%2E%2E/'],
    ['a/./..b/...', 'a/%2E/..b/.../'],
    ['/', ''],
  ] as const) {
    expect(logPath(destination, source, 'slow-log')).toBe(`${folders}${stream}`);
  }
});

test('slow commands are shown without their arguments, the oldest first, with the documented keys', () => {
  const [get, ping] = parseSlowLog([
    [8, 1_605_631_823, 4, ['PING'], '127.0.0.1:2', 'a,b'],
    [7, 1_605_631_822, 30, ['set', 'card', '4111'], '127.0.0.1:1', ''],
  ]);
  expect(JSON.parse(formatSlowEntry(get!, source, 'json'))).toEqual({
    CacheClusterId: 'shop-001',
    CacheNodeId: '0001',
    Id: 7,
    Timestamp: 1_605_631_822,
    'Duration (us)': 30,
    Command: 'set ... (2 more arguments)',
    ClientAddress: '127.0.0.1:1',
    ClientName: '',
  });
  expect(formatSlowEntry(ping!, source, 'text')).toBe('shop-001,0001,8,1605631823,4,PING,127.0.0.1:2,a,b');
});

test('arguments that the engine itself left out are counted', () => {
  const words = ['mset', ...Array.from({ length: 30 }, (_, index) => `k${index}`), '... (70 more arguments)'];
  expect(parseSlowLog([[1, 1, 1, words]])[0]!.command).toBe('mset ... (100 more arguments)');
  // A short command may hold such a word of its own.
  expect(parseSlowLog([[1, 1, 1, ['echo', '... (70 more arguments)']]])[0]!.command).toBe(
    'echo ... (1 more arguments)',
  );
});

test('what an engine prints is read in local time and shown in UTC', () => {
  const at = new Date(2030, 9, 5, 4, 3, 2, 7);
  const text = '123:M 05 Oct 2030 04:03:02.007 # Low memory: 5 * 3 left\n';
  const [line, ...others] = parseEngineLog(text);
  expect(others).toEqual([]);
  expect(line!.heading!.timeMs).toBe(at.getTime());
  const { Time, ...rest } = JSON.parse(formatEngineLine(line!, source, 'json')) as Record<string, string>;
  expect(rest).toEqual({
    CacheClusterId: 'shop-001',
    CacheNodeId: '0001',
    LogLevel: 'WARNING',
    Role: 'M',
    Message: 'Low memory: 5 * 3 left',
  });
  expect(Time).toMatch(/^\d\d [A-Z][a-z]{2} 2030 \d\d:\d\d:\d\d\.007 UTC$/);
  expect(Date.parse(Time!)).toBe(at.getTime());
  expect(formatEngineLine(line!, source, 'text')).toBe(`shop-001/0001:M ${Time} # Low memory: 5 * 3 left`);
});

test('each level has its name, and a line without a heading is of the line before it', () => {
  const heading = '1:S 05 Oct 2030 04:03:02.007';
  const text = `banner\n${heading} . a\r\n${heading} - b\n${heading} * c\n\n  stack\nnot yet ended`;
  const shown = parseEngineLog(text).map(
    (line) => JSON.parse(formatEngineLine(line, source, 'json')) as Record<string, string>,
  );
  expect(shown.map(({ LogLevel, Role, Message }) => [LogLevel, Role, Message])).toEqual([
    [undefined, undefined, 'banner'],
    ['DEBUG', 'S', 'a'],
    ['VERBOSE', 'S', 'b'],
    ['NOTICE', 'S', 'c'],
    ['NOTICE', 'S', '  stack'],
    ['NOTICE', 'S', 'not yet ended'],
  ]);
  expect(formatEngineLine({ message: 'banner' }, source, 'text')).toBe('shop-001/0001 banner');
});
