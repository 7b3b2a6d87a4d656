/**
 * Hostile and half-right requests, from a seed: built from the API's own model with words that mean something there,
 * mutated from requests that real clients sent, and broken as HTTP.
 */
import { elastiCache, operationNames } from '@larder/contract/elasticache/model';
import type { Shape, StructureShape } from '@larder/contract/service-model';
import type { RawRequest } from '../../testing/signed-request.ts';
import { nextCloudWatchRequest } from './cloudwatch.ts';
import { recorded } from './recorded.ts';

export interface FuzzRequest extends RawRequest {
  /** That it is signed for. */
  readonly service: 'elasticache' | 'monitoring';
  /** Undefined when it was broken so that nobody can tell. */
  readonly operation: string | undefined;
}

const form = 'application/x-www-form-urlencoded; charset=utf-8';
/** Changes nothing, whatever is in it. */
const reads = /^(?:Describe|List)/;

/** Words that lead past the first checks more often than chance would. */
const words: readonly string[] = [
  ...[
    'fuzz',
    'FUZZ',
    'fuzz-001',
    'keep',
    'keep-001',
    'keep-002',
    'memo',
    'mine',
    'default',
    'people',
    'ann',
    'nobody',
  ],
  ...[
    '',
    ' ',
    '-',
    'a--b',
    'a-',
    '1a',
    'ä',
    '日本',
    '😀',
    '\u0000',
    '\n',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...[
    'valkey',
    'redis',
    'memcached',
    'oracle',
    '9.1',
    '8.1',
    '7.0',
    '1.6',
    '99',
    '9.1.2.3',
    '../../etc/passwd',
  ],
  ...[
    'cache.t4g.micro',
    'cache.t4g.small',
    'cache.r5.24xlarge',
    'default.valkey9',
    'default.valkey9.cluster.on',
  ],
  ...['us-east-1a', 'us-east-1b', 'us-east-1z', 'subnet-us-east-1a', 'sg-1', '0001', '0002', '9999', 'all'],
  ...[
    'required',
    'preferred',
    'enabled',
    'disabled',
    'compatible',
    'cross-az',
    'single-az',
    'SET',
    'ROTATE',
    'DELETE',
  ],
  ...['on ~* +@all', 'off', '+@all (', ')', '>password', 'on #', 'a-secret-of-sixteen', 'x'.repeat(129)],
  ...[
    'maxmemory-policy',
    'allkeys-lru',
    'timeout',
    '19',
    'port',
    'bind',
    'sun:05:00-sun:06:00',
    '03:00-04:00',
  ],
  ...[
    'arn:aws:elasticache:us-east-1:000000000000:cluster:memo',
    'arn:aws:elasticache:::',
    'arn:aws:sns:x:1:y',
  ],
  ...[
    '2026-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '-1',
    '1e9',
    '0x10',
    'NaN',
    'true',
    'false',
    'x'.repeat(5_000),
  ],
  ...[
    '0-16383',
    '0-5460',
    '16384',
    "'; drop table member; --",
    '$\u007bjndi:x}',
    '<x/>',
    '%00',
    '&',
    '=',
    'AAA=',
  ],
];
const numbers: readonly string[] = [
  '0',
  '1',
  '2',
  '3',
  '-1',
  '6',
  '20',
  '50',
  '100',
  '101',
  '6379',
  '65536',
  '2147483647',
];

export type Random = () => number;

export function nextRequest(random: Random): FuzzRequest {
  if (random() < 0.2) return nextCloudWatchRequest(random);
  const kind = random();
  if (kind < 0.55) return modelled(random);
  if (kind < 0.9) return mutated(random);
  return broken(random);
}

/** Of what ElastiCache's operations show: alarms and metrics are no part of it. */
export function changesNothing({ operation, service }: FuzzRequest): boolean {
  if (service === 'monitoring') return true;
  return operation !== undefined && reads.test(operation);
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}

function modelled(random: Random): FuzzRequest {
  const operation = pick(random, operationNames);
  const pairs: [string, string][] = [
    ['Action', operation],
    ['Version', elastiCache.apiVersion],
  ];
  addStructure(random, elastiCache.operations.get(operation)!.input, '', pairs, 0);
  return post(operation, pairs, random() > 0.02);
}

function addStructure(
  random: Random,
  shape: StructureShape,
  prefix: string,
  pairs: [string, string][],
  depth: number,
): void {
  for (const member of shape.members.values()) {
    const given = member.required ? random() > 0.05 : random() < 3 / (shape.members.size + 2);
    if (given) addValue(random, member.shape, `${prefix}${member.wireName}`, pairs, depth + 1);
  }
}

function addValue(random: Random, shape: Shape, key: string, pairs: [string, string][], depth: number): void {
  if (shape.kind === 'structure') {
    addStructure(random, shape, `${key}.`, pairs, depth);
    return;
  }
  // ElastiCache has no maps.
  if (shape.kind === 'map') return;
  if (shape.kind === 'list') {
    const count = Math.floor(random() ** 3 * 8);
    if (count === 0) pairs.push([key, '']);
    for (let index = 1; index <= count; index += 1) {
      const item = random() < 0.1 ? 'member' : shape.itemName;
      const at = random() < 0.02 ? pick(random, ['0', '-1', '99999', '1e3', '10000']) : String(index);
      addValue(random, shape.item, `${key}.${item}.${at}`, pairs, depth);
    }
    return;
  }
  const wild = random() < 0.15;
  if (wild) pairs.push([key, pick(random, words)]);
  else if (shape.kind === 'boolean') pairs.push([key, pick(random, ['true', 'false'])]);
  else if (shape.kind === 'number') pairs.push([key, pick(random, numbers)]);
  else pairs.push([key, pick(random, words)]);
}

/** One that a real client sent, with some of its bytes or parameters changed. */
function mutated(random: Random): FuzzRequest {
  const source = pick(random, recorded);
  const operation = /Action=(\w+)/.exec(source)![1]!;
  let pairs = source.split('&').map((part): [string, string] => {
    const at = part.indexOf('=');
    return [
      decodeURIComponent(part.slice(0, at)),
      decodeURIComponent(part.slice(at + 1).replaceAll('+', ' ')),
    ];
  });
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes -= 1) {
    const at = Math.floor(random() * pairs.length);
    const [key, value] = pairs[at] ?? ['x', ''];
    const change = random();
    if (change < 0.3) pairs[at] = [key, pick(random, words)];
    else if (change < 0.45) pairs = pairs.filter((_, index) => index !== at || index < 2);
    else if (change < 0.55) pairs.push([key, value]);
    else if (change < 0.65) pairs[at] = [`${key}.${pick(random, words)}`, value];
    else if (change < 0.75) pairs.push([pick(random, words), pick(random, words)]);
    else if (change < 0.85) pairs[at] = [key, value.repeat(1 + Math.floor(random() * 40))];
    else pairs[at] = [pick(random, pairs)[0], value];
  }
  const request = post(operation, pairs, random() > 0.02);
  if (random() > 0.1) return request;
  const body = Buffer.from(request.body);
  for (let flips = 0; flips < 3 && body.length > 0; flips += 1) {
    body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
  }
  return { ...request, body, operation: undefined };
}

function broken(random: Random): FuzzRequest {
  const base = modelled(random);
  const bombs: readonly (() => FuzzRequest)[] = [
    () => ({ ...base, body: Buffer.alloc(2_000_000, 'a=1&'), operation: undefined }),
    () => ({ ...base, body: Buffer.from('a=1&'.repeat(20_000)), operation: undefined }),
    () => ({ ...base, body: Buffer.from(`Action=${'x.'.repeat(20_000)}1`), operation: undefined }),
    () => ({ ...base, body: Buffer.from(`${'a'.repeat(100_000)}=1`), operation: undefined }),
    () => ({ ...base, body: Buffer.from([0xff, 0xfe, 0x3d, 0x25, 0x25]), operation: undefined }),
    () => ({ ...base, contentType: 'application/json', operation: undefined }),
    () => ({ ...base, contentType: undefined, operation: undefined }),
    () => ({ ...base, method: 'PUT', operation: undefined }),
    () => ({ ...base, path: `/${pick(random, words.map(encodeURIComponent))}`, operation: undefined }),
    () => ({
      ...base,
      method: 'GET',
      path: `/?${base.body.toString().slice(0, 4_000)}`,
      body: Buffer.alloc(0),
    }),
    () => ({ ...base, signed: false }),
  ];
  return pick(random, bombs)();
}

function post(
  operation: string,
  pairs: readonly (readonly [string, string])[],
  signed: boolean,
): FuzzRequest {
  const body = pairs
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .join('&');
  const head = { method: 'POST', path: '/', contentType: form, service: 'elasticache' } as const;
  return { ...head, body: Buffer.from(body), signed, operation };
}
