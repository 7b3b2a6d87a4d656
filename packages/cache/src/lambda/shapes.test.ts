import { describe, expect, test } from 'vitest';
import type { RowChange } from '../feed/source.ts';
import { randomOf } from '../testing/random.ts';
import { readEvent, UnreadableEventError } from './shapes.ts';

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

const trigger = {
  v: 1,
  src: 'pg-trigger',
  db: 'app',
  schema: 'public',
  table: 'users',
  op: 'UPDATE',
  xid: '688298',
  keys: [{ old: { id: 7 }, new: { id: 8 } }],
  at: '2026-11-22T20:15:00.123Z',
};
const dms = (operation: string, more: object = {}): object => ({
  data: { id: 1, name: 'a' },
  metadata: {
    timestamp: '2021-02-18T23:57:11.970360Z',
    'record-type': 'data',
    operation,
    'partition-key-type': 'schema-table',
    'schema-name': 'public',
    'table-name': 'users',
    'transaction-id': 87978110091475,
  },
  ...more,
});
const debezium = (op: string, before: object | null, after: object | null): object => ({
  before,
  after,
  source: {
    version: '3.0.0.Final',
    connector: 'postgresql',
    name: 'app',
    ts_ms: 1,
    snapshot: 'false',
    db: 'app',
    sequence: '["24023119","24023128"]',
    schema: 'public',
    table: 'users',
    txId: 555,
    lsn: 24023128,
    xmin: null,
  },
  op,
  ts_ms: 2,
  transaction: null,
});
const sqsRecord = (body: unknown, messageId = 'm1'): object => ({
  messageId,
  receiptHandle: 'AQEB',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  attributes: { ApproximateReceiveCount: '1', SentTimestamp: '1545082649183' },
  messageAttributes: {},
  md5OfBody: 'e4e68fb7bd0e697a0ae8f1bb342846b3',
  eventSource: 'aws:sqs',
  eventSourceARN: 'arn:aws:sqs:us-east-2:123456789012:q',
  awsRegion: 'us-east-2',
});
const kinesisData = (data: string, sequenceNumber = '4959'): object => ({
  kinesisSchemaVersion: '1.0',
  partitionKey: 'public.users',
  sequenceNumber,
  data,
  approximateArrivalTimestamp: 1545084650.987,
});
const kinesisWrapper = {
  eventSource: 'aws:kinesis',
  eventVersion: '1.0',
  eventID: 'shardId-000000000006:4959',
  eventName: 'aws:kinesis:record',
  invokeIdentityArn: 'arn:aws:iam::123456789012:role/r',
  awsRegion: 'us-east-2',
  eventSourceARN: 'arn:aws:kinesis:us-east-2:123456789012:stream/s',
};
const kafkaRecord = (value: string | null, offset = 15): object => ({
  topic: 'app.public.users',
  partition: 0,
  offset,
  timestamp: 1545084650987,
  timestampType: 'CREATE_TIME',
  key: base64({ id: 1 }),
  value,
  headers: [{ k: [104, 101] }],
});
const dynamodb = (eventName: string, images: object): object => ({
  eventID: '1',
  eventVersion: '1.1',
  dynamodb: {
    ApproximateCreationDateTime: 1,
    Keys: { id: { N: '101' } },
    ...images,
    SequenceNumber: '111',
    SizeBytes: 26,
    StreamViewType: 'NEW_AND_OLD_IMAGES',
  },
  awsRegion: 'us-west-2',
  eventName,
  eventSourceARN: 'arn:aws:dynamodb:us-west-2:1:table/users/stream/2015-06-27T00:48:05.899',
  eventSource: 'aws:dynamodb',
});

/** What the rows say about `id`, and problems. */
function ids(event: unknown): unknown[] {
  return readEvent(event).items.map(({ rows, problem }) => problem?.message ?? rows.map(idsOf));
}

function idsOf({ table, before, after, identified }: RowChange): unknown[] {
  return identified ? [table, before?.id, after?.id] : [table, 'everything'];
}

describe('each way has its shape', () => {
  test.each([
    ['aws_lambda.invoke', trigger, [[['public.users', '7', '8']]]],
    ['aws_lambda.invoke, too many rows', { ...trigger, keys: null }, [[['public.users', 'everything']]]],
    ['SQS', { Records: [sqsRecord(trigger)] }, [[['public.users', '7', '8']]]],
    [
      'SQS behind SNS',
      { Records: [sqsRecord({ Type: 'Notification', Message: JSON.stringify(trigger) })] },
      [[['public.users', '7', '8']]],
    ],
    [
      'SNS',
      { Records: [{ EventSource: 'aws:sns', Sns: { Message: JSON.stringify(trigger) } }] },
      [[['public.users', '7', '8']]],
    ],
    [
      'DMS over Kinesis, insert',
      { Records: [{ kinesis: kinesisData(base64(dms('insert'))), ...kinesisWrapper }] },
      [[['public.users', undefined, '1']]],
    ],
    [
      'DMS, load',
      { Records: [{ kinesis: kinesisData(base64(dms('load'))), ...kinesisWrapper }] },
      [[['public.users', undefined, '1']]],
    ],
    [
      'DMS, update with its before image',
      {
        Records: [
          { kinesis: kinesisData(base64(dms('update', { 'before-image': { id: 9 } }))), ...kinesisWrapper },
        ],
      },
      [[['public.users', '9', '1']]],
    ],
    [
      'DMS, delete',
      { Records: [{ kinesis: kinesisData(base64(dms('delete'))), ...kinesisWrapper }] },
      [[['public.users', '1', undefined]]],
    ],
    [
      'Kinesis through a pipe: flat',
      [{ ...kinesisData(base64(dms('insert'))), ...kinesisWrapper }],
      [[['public.users', undefined, '1']]],
    ],
    ['SQS through a pipe: flat', [sqsRecord(trigger)], [[['public.users', '7', '8']]]],
    [
      'Kafka through a pipe: flat',
      [{ ...kafkaRecord(base64(trigger)), eventSource: 'aws:kafka' }],
      [[['public.users', '7', '8']]],
    ],
    [
      'a pipe that transforms',
      [trigger, dms('insert')],
      [[['public.users', '7', '8']], [['public.users', undefined, '1']]],
    ],
    [
      'Debezium on MSK',
      {
        eventSource: 'aws:kafka',
        records: { 't-0': [kafkaRecord(base64(debezium('u', { id: 1 }, { id: 2 })))] },
      },
      [[['public.users', '1', '2']]],
    ],
    [
      'Debezium with its schema, self-managed',
      {
        eventSource: 'SelfManagedKafka',
        records: { 't-0': [kafkaRecord(base64({ schema: {}, payload: debezium('c', null, { id: 3 }) }))] },
      },
      [[['public.users', undefined, '3']]],
    ],
    [
      'Debezium, delete and its tombstone',
      {
        eventSource: 'aws:kafka',
        records: { 't-0': [kafkaRecord(base64(debezium('d', { id: 4 }, null))), kafkaRecord(null, 16)] },
      },
      [[['public.users', '4', undefined]], []],
    ],
    [
      'Debezium, truncate',
      { eventSource: 'aws:kafka', records: { 't-0': [kafkaRecord(base64(debezium('t', null, null)))] } },
      [[['public.users', 'everything']]],
    ],
    [
      'Debezium, a deletion that names no row',
      { eventSource: 'aws:kafka', records: { 't-0': [kafkaRecord(base64(debezium('d', null, null)))] } },
      [[['public.users', 'everything']]],
    ],
    [
      'Debezium, heartbeat and transaction marker',
      {
        eventSource: 'aws:kafka',
        records: {
          't-0': [
            kafkaRecord(base64({ ts_ms: 1 })),
            kafkaRecord(base64({ status: 'BEGIN', id: '5:6', event_count: null })),
          ],
        },
      },
      [[], []],
    ],
    [
      'EventBridge bus',
      {
        version: '0',
        id: 'x',
        'detail-type': 'row',
        source: 'app',
        account: '1',
        time: 't',
        region: 'r',
        resources: [],
        detail: trigger,
      },
      [[['public.users', '7', '8']]],
    ],
    [
      'DynamoDB',
      {
        Records: [
          dynamodb('MODIFY', {
            OldImage: { id: { N: '101' } },
            NewImage: { id: { N: '101' }, m: { S: 'x' } },
          }),
          dynamodb('REMOVE', {}),
          dynamodb('INSERT', { NewImage: { id: { N: '101' } } }),
        ],
      },
      [
        [['dynamodb.users', '101', '101']],
        [['dynamodb.users', '101', undefined]],
        [['dynamodb.users', undefined, '101']],
      ],
    ],
    ['nothing', { Records: [] }, []],
  ] as const)('%s', (_, event, expected) => {
    expect(ids(event)).toEqual(expected);
  });
});

test('a control record of DMS voids its table; those of the task itself and new tables say nothing', () => {
  const control = (operation: string, schema: string): unknown =>
    ids([
      { metadata: { 'record-type': 'control', operation, 'schema-name': schema, 'table-name': 'users' } },
    ]);
  expect(control('create-table', 'public')).toEqual([[]]);
  expect(control('drop-table', 'public')).toEqual([[['public.users', 'everything']]]);
  expect(control('change-columns', '')).toEqual([[]]);
});

test('a number keeps its digits, and one that the runtime rounded is not read', () => {
  const body =
    '{"v":1,"src":"pg-trigger","schema":"public","table":"users","keys":[{"new":{"id":9007199254740993,"p":1.10}}]}';
  const row = readEvent({ Records: [sqsRecord(body)] }).items[0]!.rows[0]!.after!;
  expect([row.id, row.p]).toEqual(['9007199254740993', '1.10']);
  const direct = readEvent({ ...trigger, keys: [{ new: { id: 2 ** 53 + 2 } }] }).items[0]!.rows[0]!.after!;
  expect(() => direct.id).toThrow(/read id/);
});

test('columns that an event leaves out, hides or nests throw when a watch reads them', () => {
  const event = {
    ...trigger,
    keys: [{ new: { id: 1, a: null, t: true, o: {}, u: '__debezium_unavailable_value' } }],
  };
  const row = readEvent(event).items[0]!.rows[0]!.after!;
  expect([row.id, row.a, row.t]).toEqual(['1', null, 't']);
  for (const column of ['o', 'u', 'nothing', 'constructor', '__proto__']) expect(() => row[column]).toThrow();
});

test('poison is an item of its own, with its reason and its identifier', () => {
  const { items, partial } = readEvent({
    Records: [sqsRecord('{', 'bad'), sqsRecord(trigger, 'good'), sqsRecord({ hello: 1 }, 'strange')],
  });
  expect(partial).toBe(true);
  expect(
    items.map(({ identifier, rows, problem }) => [identifier, rows.length, problem === undefined]),
  ).toEqual([
    ['bad', 0, false],
    ['good', 1, true],
    ['strange', 0, false],
  ]);
  expect(items[2]!.problem!.message).toMatch(/none of/);
});

test('bounds: wrappers, rows, columns, records', () => {
  let wrapped: unknown = trigger;
  for (let i = 0; i < 6; i += 1) wrapped = { 'detail-type': 'x', detail: wrapped };
  expect(ids(wrapped)[0]).toMatch(/wrapped too often/);
  expect(ids({ ...trigger, keys: Array(10_001).fill({ new: { id: 1 } }) })[0]).toMatch(/more than 10000/);
  const wide = Object.fromEntries(Array.from({ length: 2_001 }, (_, i) => [`c${i}`, 1]));
  expect(ids({ ...trigger, keys: [{ new: wide }] })[0]).toMatch(/more than 2000 columns/);
  expect(() => readEvent({ Records: Array(10_001).fill(sqsRecord(trigger)) })).toThrow(UnreadableEventError);
  expect(ids({ Records: [sqsRecord(`${'['.repeat(200_000)}${']'.repeat(200_000)}`)] })[0]).toBeTypeOf(
    'string',
  );
});

test('no mutation of an event makes it throw anything but its own error, and none invents a row', () => {
  const seed = 1 + Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const seeds: unknown[] = [
    trigger,
    { Records: [sqsRecord(trigger), sqsRecord(dms('update'))] },
    { Records: [{ kinesis: kinesisData(base64(dms('insert'))), ...kinesisWrapper }] },
    [{ ...kinesisData(base64(dms('insert'))), ...kinesisWrapper }],
    {
      eventSource: 'aws:kafka',
      records: { 't-0': [kafkaRecord(base64(debezium('u', { id: 1 }, { id: 2 })))] },
    },
    { Records: [dynamodb('MODIFY', { NewImage: { id: { N: '1' } } })] },
    { 'detail-type': 'row', detail: dms('delete') },
  ];
  const strange: unknown[] = [
    null,
    undefined,
    0,
    -1,
    1e300,
    '',
    'x',
    '{',
    '🙂',
    [],
    {},
    [[]],
    true,
    '__proto__',
    { N: 1 },
    Array(3),
    '\ud800',
  ];
  const mutate = (value: unknown): unknown => {
    if (random() < 0.08) return pick(strange);
    if (Array.isArray(value)) return value.map(mutate).slice(0, random() < 0.1 ? 1 : undefined);
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value)
          .filter(() => random() > 0.04)
          .map(([key, inner]) => [
            random() < 0.03 ? pick(['__proto__', 'constructor', 'x']) : key,
            mutate(inner),
          ]),
      );
    }
    if (typeof value === 'string' && random() < 0.1)
      return value.slice(0, Math.floor(random() * value.length));
    return value;
  };
  for (let round = 0; round < 20_000; round += 1) {
    let read: ReturnType<typeof readEvent>;
    try {
      read = readEvent(mutate(pick(seeds)));
    } catch (error) {
      expect(error).toBeInstanceOf(UnreadableEventError);
      continue;
    }
    for (const { rows, problem } of read.items) {
      expect(problem === undefined || rows.length === 0).toBe(true);
      for (const { table, before, after, identified } of rows) {
        expect(table).toMatch(/^.+\..+$/s);
        expect(identified).toBe(before !== undefined || after !== undefined);
      }
    }
  }
});
