/**
 * CloudWatch over the wire, as the JavaScript SDK speaks it in each of its three protocols: what is sent is what the
 * handler receives, and what it returns is what is read. Then what an SDK would not send.
 */
import { gzipSync } from 'node:zlib';
import * as sdk from '@aws-sdk/client-cloudwatch';
import { AwsQueryProtocol, AwsSmithyRpcV2CborProtocol } from '@aws-sdk/core/protocols';
import { type ServerType, serve } from '@hono/node-server';
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import { cloudWatch, cloudWatchOperationNames } from '@larder/contract/cloudwatch/model';
import { serviceError } from '@larder/contract/errors';
import { cbor, tag } from '@smithy/core/cbor';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { valuesOf } from './modelled-values.test-support.ts';
import { type RunningApi, startApi } from './running-api.test-support.ts';
import { createStandby } from './standby.ts';

const RUNS_PER_OPERATION = 4;
const protocols = {
  json: {},
  // Its requests announce the length from before compression.
  cbor: { protocol: AwsSmithyRpcV2CborProtocol, disableRequestCompression: true },
  query: { protocol: AwsQueryProtocol },
} as const;
const kinds = Object.keys(protocols) as (keyof typeof protocols)[];

let received: unknown;
let toReturn: unknown;
let running: RunningApi;

beforeAll(async () => {
  const record = async (input: unknown) => {
    received = input;
    if (toReturn instanceof Error) throw toReturn;
    return toReturn;
  };
  running = await startApi({
    cloudWatchHandlers: Object.fromEntries(
      cloudWatchOperationNames.map((name) => [name, record]),
    ) as CloudWatchHandlers,
    lookupAccessKey: async () => ({ secretAccessKey: 'secret', rights: 'operator' }),
  });
});

afterAll(() => running.close());

function clientOf(kind: keyof typeof protocols, endpoint = running.url): sdk.CloudWatchClient {
  return new sdk.CloudWatchClient({
    ...protocols[kind],
    endpoint,
    region: 'eu-test-1',
    credentials: { accessKeyId: 'AKTEST', secretAccessKey: 'secret' },
    maxAttempts: 1,
  });
}

/** The SDK hands out bytes in a class of its own. */
function plain(read: object): object {
  return Object.fromEntries(
    Object.entries(read).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Uint8Array.from(value) : value,
    ]),
  );
}

/** By name the SDK's command classes share no type; each takes its input and yields its output. */
function send(client: sdk.CloudWatchClient, name: string, input: object): Promise<sdk.__MetadataBearer> {
  const exported: Readonly<Record<string, unknown>> = sdk;
  const Command = exported[`${name}Command`] as new (input: object) => never;
  return client.send(new Command(input));
}

describe.each(kinds)('%s', (kind) => {
  const client = () => clientOf(kind);

  test.each(cloudWatchOperationNames)('%s', async (name) => {
    const { input, output } = valuesOf(cloudWatch.operations.get(name)!, {
      numbers: 'double',
      isXml: kind === 'query',
    });
    const one = client();
    await fc.assert(
      fc.asyncProperty(input, output, async (sent, returned) => {
        toReturn = returned;
        const { $metadata, ...read } = await send(one, name, sent);
        expect(received).toEqual(sent);
        expect(plain(read)).toEqual(returned);
        expect($metadata.requestId).toBe(running.lastRequestId());
      }),
      { numRuns: RUNS_PER_OPERATION },
    );
    one.destroy();
  });

  test('an error reaches the SDK as its class, with the old code beside it', async () => {
    toReturn = serviceError('LimitExceededFault', 'Too many alarms.', { hint: 'Delete some.' });
    const refused = await send(client(), 'PutMetricAlarm', {
      AlarmName: 'a',
      EvaluationPeriods: 1,
      ComparisonOperator: 'GreaterThanThreshold',
    }).catch((error) => error);
    expect(refused).toBeInstanceOf(sdk.LimitExceededFault);
    expect(refused).toMatchObject({
      message: 'Too many alarms. Delete some.',
      $metadata: { httpStatusCode: 400 },
    });
    toReturn = serviceError('DashboardNotFoundError', 'No such dashboard.');
    const missing = await send(client(), 'GetDashboard', { DashboardName: 'd' }).catch((error) => error);
    // Two shapes have this code; the SDK takes the first.
    expect(missing).toMatchObject({ name: 'ResourceNotFound', $metadata: { httpStatusCode: 404 } });
    toReturn = serviceError('Throttling', 'Too fast.');
    const throttled = await send(client(), 'ListMetrics', {}).catch((error) => error);
    expect(throttled).toMatchObject({ name: 'Throttling', message: 'Too fast.' });
  });

  test('a request as large as the SDK compresses', async () => {
    toReturn = {};
    await send(client(), 'PutMetricData', large(new Date(1_700_000_000_000)));
    expect(received).toEqual(large(new Date(1_700_000_000_000)));
  });

  test('a controller that stands by says so', async () => {
    const { port, server } = await new Promise<{ port: number; server: ServerType }>((resolve) => {
      const started = serve({ fetch: createStandby().fetch, hostname: '127.0.0.1', port: 0 }, (info) =>
        resolve({ port: info.port, server: started }),
      );
    });
    const one = clientOf(kind, `http://127.0.0.1:${port}`);
    const refused = await send(one, 'ListMetrics', {}).catch((error) => error);
    expect(refused).toMatchObject({ name: 'ServiceUnavailable', $metadata: { httpStatusCode: 503 } });
    expect(refused.message).toContain('stands by');
    one.destroy();
    server.close();
  });
});

const cborPath = '/service/GraniteServiceVersion20100801/operation/';
const cborHead = { 'smithy-protocol': 'rpc-v2-cbor', 'content-type': 'application/cbor' };
const jsonHead = (operation: string) => ({
  'content-type': 'application/x-amz-json-1.0',
  'x-amz-target': `GraniteServiceVersion20100801.${operation}`,
});

function large<T>(Timestamp: T) {
  const MetricData = Array.from({ length: 1000 }, (_, index) => ({
    MetricName: `metric-${index}`,
    Value: index / 4,
    Timestamp,
  }));
  return { Namespace: 'Shop', MetricData };
}

describe('without signatures', () => {
  let open: RunningApi;
  let seen: unknown;
  beforeAll(async () => {
    open = await startApi({
      cloudWatchHandlers: {
        PutMetricData: async (input) => {
          seen = input;
          return {};
        },
      },
    });
  });
  afterAll(() => open.close());

  const post = (path: string, headers: Record<string, string>, body: string | Uint8Array) =>
    fetch(open.url + path, { method: 'POST', headers, body: body as BodyInit });

  test('what has no effect here is refused in the protocol it came in', async () => {
    const json = await post('/', jsonHead('ListManagedInsightRules'), '{"ResourceARN":"a"}');
    expect([json.status, json.headers.get('x-amzn-query-error')]).toEqual([
      400,
      'UnsupportedOperation;Sender',
    ]);
    expect(await json.json()).toMatchObject({ __type: 'UnsupportedOperation' });
    const inCbor = await post(
      `${cborPath}GetDashboard`,
      cborHead,
      new Uint8Array(cbor.serialize({ DashboardName: 'x' })),
    );
    expect([inCbor.status, inCbor.headers.get('smithy-protocol')]).toEqual([400, 'rpc-v2-cbor']);
    expect(cbor.deserialize(new Uint8Array(await inCbor.arrayBuffer()))).toMatchObject({
      __type: 'UnsupportedOperation',
    });
    const form = await post(
      '/',
      { 'content-type': 'application/x-www-form-urlencoded' },
      'Action=ListDashboards&Version=2010-08-01',
    );
    expect(form.status).toBe(400);
    const xml = await form.text();
    expect(xml).toContain('<Code>UnsupportedOperation</Code>');
    expect(xml).toContain('http://monitoring.amazonaws.com/doc/2010-08-01/');
  });

  test.each([
    ['an unknown operation', jsonHead('Nope'), '{}', 400, 'InvalidAction'],
    ['a name of the prototype', jsonHead('constructor'), '{}', 400, 'InvalidAction'],
    ['no JSON', jsonHead('PutMetricData'), '{', 400, 'MalformedInput'],
    ['no required member', jsonHead('PutMetricData'), '{}', 400, 'ValidationError'],
    [
      'another type',
      { ...jsonHead('PutMetricData'), 'content-type': 'text/plain' },
      '{}',
      415,
      'UnsupportedMediaType',
    ],
    [
      'another compression',
      { ...jsonHead('PutMetricData'), 'content-encoding': 'br' },
      'x',
      415,
      'UnsupportedMediaType',
    ],
    ['no gzip', { ...jsonHead('PutMetricData'), 'content-encoding': 'gzip' }, 'x', 400, 'MalformedInput'],
    [
      'a bomb',
      { ...jsonHead('PutMetricData'), 'content-encoding': 'gzip' },
      gzipSync(Buffer.alloc(64 * 1024 * 1024)),
      413,
      'RequestEntityTooLarge',
    ],
    [
      'a web page behind it',
      { ...jsonHead('PutMetricData'), origin: 'http://evil.test' },
      '{}',
      403,
      'AccessDenied',
    ],
  ])('a request with %s', async (_, headers, body, status, code) => {
    const response = await post('/', headers, body);
    expect([response.status, response.headers.get('x-amzn-query-error')]).toEqual([status, `${code};Sender`]);
  });

  test('lengths need not be announced, whole numbers be written as floats, and times be whole', async () => {
    // {_ "Namespace": (_ "Sh", "op"), "MetricData": [_ {_ "MetricName": "a", "Timestamp": 1(1700000000),
    //    "StorageResolution": 60.0, "Value": 3, "Unknown": {"x": [1, 2]}}]}
    const text = (value: string) => [0x60 + value.length, ...Buffer.from(value)];
    const bytes = [
      0xbf,
      ...text('Namespace'),
      ...[0x7f, ...text('Sh'), ...text('op'), 0xff],
      ...text('MetricData'),
      ...[0x9f, 0xbf],
      ...[...text('MetricName'), ...text('a')],
      ...[...text('Timestamp'), 0xc1, 0x1a, 0x65, 0x53, 0xf1, 0x00],
      ...[...text('StorageResolution'), 0xfa, 0x42, 0x70, 0x00, 0x00],
      ...[...text('Value'), 0x03],
      ...[...text('Unknown'), 0xa1, ...text('x'), 0x82, 0x01, 0x02],
      ...[0xff, 0xff, 0xff],
    ];
    const response = await post(`${cborPath}PutMetricData`, cborHead, new Uint8Array(bytes));
    expect(response.status).toBe(200);
    expect(seen).toEqual({
      Namespace: 'Shop',
      MetricData: [
        {
          MetricName: 'a',
          Timestamp: new Date(1_700_000_000_000),
          StorageResolution: 60,
          Value: 3,
        },
      ],
    });
  });

  // The SDK's CBOR announces the length from before it compresses: it can't send such a request itself.
  test.each([
    ['JSON', '/', jsonHead('PutMetricData'), Buffer.from(JSON.stringify(large(1_700_000_000)))],
    [
      'CBOR',
      `${cborPath}PutMetricData`,
      cborHead,
      Buffer.from(cbor.serialize(large(tag({ tag: 1, value: 1_700_000_000 })))),
    ],
    [
      'a form',
      '/',
      { 'content-type': 'application/x-www-form-urlencoded' },
      Buffer.from(
        `Action=PutMetricData&Version=2010-08-01&Namespace=Shop${large('2023-11-14T22:13:20Z')
          .MetricData.map(
            (each, index) =>
              `&MetricData.member.${index + 1}.MetricName=${each.MetricName}` +
              `&MetricData.member.${index + 1}.Value=${each.Value}` +
              `&MetricData.member.${index + 1}.Timestamp=${each.Timestamp}`,
          )
          .join('')}`,
      ),
    ],
  ])('a compressed request as %s arrives whole', async (_, path, headers, body) => {
    const response = await post(path, { ...headers, 'content-encoding': 'gzip' }, gzipSync(body));
    expect(response.status).toBe(200);
    expect(seen).toEqual(large(new Date(1_700_000_000_000)));
  });

  test('an other path, or CBOR without its header', async () => {
    expect((await post('/service/Other/operation/X', cborHead, '')).status).toBe(400);
    const bare = await post(`${cborPath}ListMetrics`, { 'content-type': 'application/cbor' }, '');
    expect([bare.status, bare.headers.get('x-amzn-query-error')]).toEqual([400, 'MalformedInput;Sender']);
  });
});
