/** Log events over a store of their own: what is put, delivered, found, and forgotten. */
import type { LogsHandlers } from '@larder/contract/cloudwatch-logs/handlers';
import type { LogsInput, LogsOperationName, LogsOutput } from '@larder/contract/cloudwatch-logs/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { collectLog, type DeliveredLine } from './collect-log.ts';
import { logsHandlers } from './handlers.ts';
import { forgetOldEvents } from './log-store.ts';
import { connectLogFile, type LogDatabase } from './tables.ts';

const caller = { requestId: 'r', accessKeyId: undefined, accountId: '000000000000', region: 'us-east-1' };
const now = Date.UTC(2030, 0, 1);
let database: LogDatabase;
let handlers: LogsHandlers;

beforeEach(() => {
  database = connectLogFile(':memory:');
  handlers = logsHandlers({ logDatabase: database, nowMs: () => now });
});
afterEach(() => database.destroy());

const call = <Op extends LogsOperationName>(operation: Op, input: LogsInput<Op>) =>
  handlers[operation](input, caller) as Promise<LogsOutput<Op>>;

function refusal<Op extends LogsOperationName>(operation: Op, input: LogsInput<Op>): Promise<string> {
  return call(operation, input).then(
    () => 'taken',
    (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
  );
}

async function stream(logGroupName: string, logStreamName: string): Promise<void> {
  await call('CreateLogGroup', { logGroupName }).catch(() => undefined);
  await call('CreateLogStream', { logGroupName, logStreamName });
}

const put = (logStreamName: string, ...events: [number, string][]) =>
  call('PutLogEvents', {
    logGroupName: 'shop',
    logStreamName,
    logEvents: events.map(([timestamp, message]) => ({ timestamp, message })),
  });

const messages = async (input: Partial<LogsInput<'FilterLogEvents'>>) =>
  (await call('FilterLogEvents', { logGroupName: 'shop', ...input })).events.map(({ message }) => message);

describe('what is put', () => {
  test('is found again, in the order of time', async () => {
    await stream('shop', 'b');
    await stream('shop', 'a');
    await put('b', [now - 3, 'one'], [now - 1, 'three ERROR']);
    await put('a', [now - 2, 'two ERROR'], [now, 'four']);
    expect(await messages({})).toEqual(['one', 'two ERROR', 'three ERROR', 'four']);
    expect(await messages({ filterPattern: 'ERROR' })).toEqual(['two ERROR', 'three ERROR']);
    expect(await messages({ logStreamNames: ['a'] })).toEqual(['two ERROR', 'four']);
    expect(await messages({ logStreamNamePrefix: 'b' })).toEqual(['one', 'three ERROR']);
    expect(await messages({ logStreamNamePrefix: 'B' })).toEqual([]);
    expect(await messages({ startTime: now - 2, endTime: now })).toEqual(['two ERROR', 'three ERROR']);
    const groups = await call('DescribeLogGroups', { logGroupNamePattern: 'SHO' });
    expect(groups.logGroups).toEqual([
      {
        logGroupName: 'shop',
        creationTime: now,
        arn: 'arn:aws:logs:us-east-1:000000000000:log-group:shop:*',
        logGroupArn: 'arn:aws:logs:us-east-1:000000000000:log-group:shop',
        storedBytes: 27,
        retentionInDays: 14,
      },
    ]);
    const streams = await call('DescribeLogStreams', { logGroupName: 'shop' });
    expect(streams.logStreams).toMatchObject([
      { logStreamName: 'a', firstEventTimestamp: now - 2, lastEventTimestamp: now, lastIngestionTime: now },
      { logStreamName: 'b', firstEventTimestamp: now - 3 },
    ]);
  });

  test('comes in pages, each event once', async () => {
    await stream('shop', 'a');
    // Many of one moment: the place of a page is not its time alone.
    const all = Array.from({ length: 95 }, (_, index) => `m${index}`);
    await put(
      'a',
      ...all.map((message, index) => [now - 100 + Math.floor(index / 30), message] as [number, string]),
    );
    const found: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await call('FilterLogEvents', {
        logGroupName: 'shop',
        limit: 10,
        nextToken,
        filterPattern: '-m7',
      });
      found.push(...page.events.map(({ message }) => message));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    expect(found).toEqual(all.filter((message) => !message.includes('m7')));

    const forwards: string[] = [];
    let token: string | undefined;
    for (;;) {
      const page: LogsOutput<'GetLogEvents'> = await call('GetLogEvents', {
        logGroupName: 'shop',
        logStreamName: 'a',
        limit: 20,
        startFromHead: true,
        nextToken: token,
      });
      forwards.push(...page.events.map(({ message }) => message));
      if (page.nextForwardToken === token) break;
      token = page.nextForwardToken;
    }
    expect(forwards).toEqual(all);
    const newest = await call('GetLogEvents', { logGroupName: 'shop', logStreamName: 'a', limit: 5 });
    expect(newest.events.map(({ message }) => message)).toEqual(all.slice(-5));
    const before = await call('GetLogEvents', {
      logGroupName: 'shop',
      logStreamName: 'a',
      limit: 5,
      nextToken: newest.nextBackwardToken,
    });
    expect(before.events.map(({ message }) => message)).toEqual(all.slice(-10, -5));
  });

  test('too old or too new is told and left out', async () => {
    await stream('shop', 'a');
    const fortnight = 14 * 86_400_000;
    expect(await put('a', [now - fortnight - 1_000, 'old'], [now - fortnight + 1_000, 'kept'])).toMatchObject(
      {
        rejectedLogEventsInfo: { tooOldLogEventEndIndex: 1 },
      },
    );
    expect(await put('a', [now, 'now'], [now + 7_300_000, 'new'])).toMatchObject({
      rejectedLogEventsInfo: { tooNewLogEventStartIndex: 1 },
    });
    expect(await messages({})).toEqual(['kept', 'now']);
  });

  test('goes when its group keeps it no longer, and the oldest when there is too much', async () => {
    await stream('shop', 'a');
    await put('a', [now - 2 * 86_400_000, 'old'], [now - 86_400_001, 'x']);
    await put('a', [now, 'young']);
    await call('PutRetentionPolicy', { logGroupName: 'shop', retentionInDays: 1 });
    await forgetOldEvents(database, now);
    expect(await messages({})).toEqual(['young']);
    const stored = async () => (await call('DescribeLogGroups', {})).logGroups![0]!.storedBytes;
    expect(await stored()).toBe(5);
    await put(
      'a',
      ...Array.from({ length: 100 }, (_, index): [number, string] => [
        now,
        `n${String(index).padStart(3, '0')}`,
      ]),
    );
    await forgetOldEvents(database, now, 200);
    expect(await stored()).toBeLessThanOrEqual(200);
    const left = await messages({});
    expect(left.length).toBeGreaterThan(40);
    expect(left.at(-1)).toBe('n099');
    await call('DeleteLogGroup', { logGroupName: 'shop' });
    expect(await refusal('FilterLogEvents', { logGroupName: 'shop' })).toContain('ResourceNotFoundException');
    expect(await database.selectFrom('log_event').selectAll().execute()).toEqual([]);
  });

  const events = (...of: [number, string][]) => of.map(([timestamp, message]) => ({ timestamp, message }));
  const to = { logGroupName: 'shop', logStreamName: 'a' };
  test.each<[string, () => Promise<string>]>([
    [
      'ResourceNotFoundException',
      () => refusal('PutLogEvents', { ...to, logGroupName: 'x', logEvents: events([now, 'm']) }),
    ],
    [
      'ResourceNotFoundException',
      () => refusal('PutLogEvents', { ...to, logStreamName: 'x', logEvents: events([now, 'm']) }),
    ],
    ['ResourceNotFoundException', () => refusal('GetLogEvents', { ...to, logStreamName: 'x' })],
    ['ResourceAlreadyExistsException', () => refusal('CreateLogGroup', { logGroupName: 'shop' })],
    ['ResourceAlreadyExistsException', () => refusal('CreateLogStream', to)],
    ['InvalidParameterException', () => refusal('CreateLogGroup', { logGroupName: 'a b' })],
    ['InvalidParameterException', () => refusal('CreateLogStream', { ...to, logStreamName: 'a:b' })],
    ['in the order', () => refusal('PutLogEvents', { ...to, logEvents: events([now, 'a'], [now - 1, 'b']) })],
    [
      '24 hours',
      () => refusal('PutLogEvents', { ...to, logEvents: events([now - 86_400_002, 'a'], [now, 'b']) }),
    ],
    [
      '1048576 bytes',
      () =>
        refusal('PutLogEvents', {
          ...to,
          logEvents: events(...Array.from({ length: 5 }, (): [number, string] => [now, 'x'.repeat(250_000)])),
        }),
    ],
    ['timestamp', () => refusal('PutLogEvents', { ...to, logEvents: events([1.5, 'a']) })],
    ['retentionInDays', () => refusal('PutRetentionPolicy', { logGroupName: 'shop', retentionInDays: 2 })],
    ['filterPattern', () => refusal('FilterLogEvents', { logGroupName: 'shop', filterPattern: '{ $.x }' })],
    ['nextToken', () => refusal('FilterLogEvents', { logGroupName: 'shop', nextToken: 'x' })],
    ['limit', () => refusal('FilterLogEvents', { logGroupName: 'shop', limit: 10_001 })],
  ])('wrongly is refused: %s', async (because, ask) => {
    await stream('shop', 'a');
    expect(await ask()).toContain(because);
  });
});

test('what was delivered to a log is taken over once, whatever fails in between', async () => {
  const lines = ['one', 'two', 'three'].map(
    (command, index) => `{"CacheClusterId":"a","Timestamp":${1_890_000_000 + index},"Command":"${command}"}`,
  );
  let failing = true;
  const printed: DeliveredLine[] = [];
  const deps = {
    logDatabase: database,
    nowMs: () => now,
    print: (line: DeliveredLine) => {
      printed.push(line);
      if (failing && printed.length === 2) throw new Error('killed');
    },
    host: {
      readLog: async (_: unknown, __: unknown, position: { inode: number; nextByte: number } | null) => {
        const from = position?.nextByte ?? 0;
        return {
          lines: lines.slice(from, from + 2),
          position: { inode: 1, nextByte: Math.min(3, from + 2) },
          more: from === 0,
        };
      },
    },
  };
  const source = { nodeId: 'a.0001', engine: 'valkey', clusterId: 'a', cacheNodeId: '0001' } as const;
  const collect = () => collectLog(deps, source, { destination: '/shop/slow', logType: 'slow-log' });
  await expect(collect()).rejects.toThrow('killed');
  failing = false;
  expect(await collect()).toBe(true);
  expect(await collect()).toBe(false);
  expect(await collect()).toBe(false);
  const { events } = await call('FilterLogEvents', { logGroupName: '/shop/slow' });
  expect(events.map(({ message }) => message)).toEqual(lines);
  expect(events[0]).toMatchObject({
    logStreamName: 'elasticache/valkey/a/0001/slow-log',
    timestamp: 1_890_000_000_000,
    ingestionTime: now,
  });
  // Printed before it counts as read: some of them twice.
  expect(printed.map(({ message }) => message)).toEqual([...lines.slice(0, 2), ...lines]);
});
