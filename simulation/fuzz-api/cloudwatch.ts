/** Hostile and half-right requests to CloudWatch, from a seed: built from its model, in each protocol, some with bytes changed. */
import { gzipSync } from 'node:zlib';
import { cloudWatch, cloudWatchOperationNames } from '@larder/contract/cloudwatch/model';
import type { Shape, StructureShape } from '@larder/contract/service-model';
import { cbor, tag } from '@smithy/core/cbor';
import type { FuzzRequest, Random } from './requests.ts';

/** What is mostly asked; the others say that they are not here. */
const served = cloudWatchOperationNames.filter((name) =>
  /MetricData|MetricStatistics|ListMetrics$|MetricAlarm|CompositeAlarm|Alarms|AlarmState|AlarmHistory|AlarmActions|Dashboard|Resource$/.test(
    name,
  ),
);

const words: readonly string[] = [
  ...['Shop', 'load', 'AWS/ElastiCache', 'a1', 'a2', 'm1', 'm2', 'd', 'v', '', ' ', 'ä', '😀', '\u0000'],
  ...[
    'Sum',
    'Average',
    'p99',
    'p101',
    'TM(10%:90%)',
    'PR(:1)',
    'IQM',
    'SampleCount',
    'Percent',
    'None',
    'Count',
  ],
  ...[
    'GreaterThanThreshold',
    'LessThanThreshold',
    'LessThanLowerThreshold',
    'missing',
    'ignore',
    'breaching',
  ],
  ...['ALARM(a1)', 'ALARM(a1) AND NOT OK("a2")', 'TRUE', 'NOT '.repeat(400), '('.repeat(400), 'AT_LEAST(1)'],
  ...[
    'm1 + m2',
    'SUM(METRICS())',
    'm1 / 0',
    'FILL(m1, LINEAR)',
    "SEARCH('{Shop,d} x', 'Sum', 60)",
    'm2',
    '1+'.repeat(400),
  ],
  ...[
    'RATE(m1)',
    'SLICE(SORT(METRICS(), SUM, DESC), 0, 3)',
    'IF(m1 > 1, m1)',
    '['.repeat(400),
    "'",
    'SELECT 1',
  ],
  ...[
    'OK',
    'ALARM',
    'INSUFFICIENT_DATA',
    'MetricAlarm',
    'CompositeAlarm',
    'StateUpdate',
    'TimestampAscending',
    'PT3H',
  ],
  ...['arn:aws:sns:us-east-1:000000000000:t', 'arn:aws:cloudwatch:us-east-1:000000000000:alarm:a1', 'arn:'],
  ...['{"widgets":[]}', '{', '[]', '__proto__', 'constructor', '+0100', 'x'.repeat(3_000)],
];
const numbers: readonly number[] = [
  ...[
    0,
    1,
    2,
    3,
    5,
    10,
    60,
    61,
    300,
    3600,
    86_400,
    100,
    1440,
    -1,
    0.5,
    1e308,
    -1e308,
    2 ** 360,
    2 ** 53,
    500,
  ],
];

export function nextCloudWatchRequest(random: Random): FuzzRequest {
  const operation = pick(random, random() < 0.95 ? served : cloudWatchOperationNames);
  const tree = structure(random, cloudWatch.operations.get(operation)!.input, 0);
  const request = pick(random, [asForm, asJson, asCbor])(operation, tree);
  const flips = random() < 0.15 ? 1 + Math.floor(random() * 4) : 0;
  const body = Buffer.from(request.body);
  for (let count = 0; count < flips && body.length > 0; count += 1) {
    body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
  }
  const sent = { ...request, body, ...(flips > 0 && { operation: undefined }) };
  if (random() > 0.1) return sent;
  const packed = random() < 0.1 ? gzipSync(Buffer.alloc(30_000_000)) : gzipSync(body);
  return { ...sent, body: packed, headers: { ...request.headers, 'content-encoding': 'gzip' } };
}

type Tree = string | number | boolean | Date | Tree[] | { [key: string]: Tree };

function structure(random: Random, shape: StructureShape, depth: number): { [key: string]: Tree } {
  const members = [...shape.members.values()].filter(({ required }) =>
    required ? random() > 0.03 : random() < 4 / (shape.members.size + 3),
  );
  const chosen = shape.union ? members.slice(0, random() < 0.8 ? 1 : 2) : members;
  return Object.fromEntries(
    chosen.map(({ wireName, shape: each }) => [wireName, value(random, each, depth + 1)]),
  );
}

function value(random: Random, shape: Shape, depth: number): Tree {
  if (random() < 0.03) return pick<Tree>(random, [...words, ...numbers, true, [], {}]);
  switch (shape.kind) {
    case 'structure':
      return structure(random, shape, depth);
    case 'list':
      return Array.from({ length: Math.floor(random() ** 3 * 10) }, () => value(random, shape.item, depth));
    case 'map':
      return Object.fromEntries([[pick(random, words), value(random, shape.value, depth)]]);
    case 'boolean':
      return random() < 0.5;
    case 'number':
      return pick(random, numbers);
    case 'timestamp':
      return new Date(Date.now() - Math.floor((random() - 0.1) * 4e9));
    default:
      return pick(random, words);
  }
}

const base = { method: 'POST', path: '/', signed: true, service: 'monitoring' } as const;

function asJson(operation: string, tree: Tree): FuzzRequest {
  const body = JSON.stringify(tree, function replace(this: { [key: string]: Tree }, key, each) {
    const given = this[key];
    return given instanceof Date ? given.getTime() / 1000 : each;
  });
  const target = `GraniteServiceVersion20100801.${operation}`;
  return { ...base, contentType: 'application/x-amz-json-1.0', target, body: Buffer.from(body), operation };
}

function asCbor(operation: string, tree: Tree): FuzzRequest {
  const tagged = (each: Tree): unknown => {
    if (each instanceof Date) return tag({ tag: 1, value: each.getTime() / 1000 });
    if (Array.isArray(each)) return each.map(tagged);
    if (typeof each !== 'object') return each;
    return Object.fromEntries(Object.entries(each).map(([key, item]) => [key, tagged(item)]));
  };
  return {
    ...base,
    path: `/service/GraniteServiceVersion20100801/operation/${operation}`,
    contentType: 'application/cbor',
    headers: { 'smithy-protocol': 'rpc-v2-cbor' },
    body: Buffer.from(cbor.serialize(tagged(tree))),
    operation,
  };
}

function asForm(operation: string, tree: Tree): FuzzRequest {
  const pairs: [string, string][] = [
    ['Action', operation],
    ['Version', '2010-08-01'],
  ];
  const add = (key: string, each: Tree): void => {
    if (each instanceof Date) pairs.push([key, each.toISOString()]);
    else if (Array.isArray(each)) {
      for (const [index, item] of each.entries()) add(`${key}.member.${index + 1}`, item);
    } else if (typeof each !== 'object') pairs.push([key, String(each)]);
    else for (const [name, item] of Object.entries(each)) add(key === '' ? name : `${key}.${name}`, item);
  };
  add('', tree);
  const body = pairs.map(([key, each]) => `${encodeURIComponent(key)}=${encodeURIComponent(each)}`).join('&');
  return { ...base, contentType: 'application/x-www-form-urlencoded', body: Buffer.from(body), operation };
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}
