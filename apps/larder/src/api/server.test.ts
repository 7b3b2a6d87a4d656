import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import * as sdk from '@aws-sdk/client-elasticache';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { operationNames } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { afterEach, expect, test } from 'vitest';
import { type RunningApi, startApi } from './running-api.test-support.ts';
import type { ApiOptions } from './server.ts';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const VERSION = 'Version=2015-02-02';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource.close();
});

async function start(options: Partial<ApiOptions> = {}): Promise<RunningApi> {
  const running = await startApi(options);
  open.push(running);
  return running;
}

function clientOf(running: RunningApi, secretAccessKey = 'secret'): sdk.ElastiCacheClient {
  const client = new sdk.ElastiCacheClient({
    endpoint: running.url,
    region: 'eu-test-1',
    credentials: { accessKeyId: 'AKTEST', secretAccessKey },
  });
  open.push({ close: () => client.destroy() });
  return client;
}

const post = (running: RunningApi, body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(running.url, {
    method: 'POST',
    body: body as BodyInit,
    headers: { ...FORM, ...headers },
  });

const codeOf = (xml: string) => /<Code>([^<]*)<\/Code>/.exec(xml)?.[1];

const describeUsers: Handlers = { DescribeUsers: async () => ({ Users: [] }) };

test('a modelled error reaches the SDK as its class, with code, status and request id', async () => {
  const running = await start({
    handlers: {
      DescribeReplicationGroups: async () => {
        throw serviceError('ReplicationGroupNotFoundFault', 'ReplicationGroup rg not found.');
      },
      DescribeCacheClusters: async () => {
        throw serviceError('CacheClusterNotFoundFault', 'CacheCluster <c> not found.', {
          hint: 'Create it.',
        });
      },
    },
  });
  const client = clientOf(running);
  const group = await client.send(new sdk.DescribeReplicationGroupsCommand({})).catch((error) => error);
  expect(group).toBeInstanceOf(sdk.ReplicationGroupNotFoundFault);
  expect(group.$metadata.httpStatusCode).toBe(404);
  expect(group.$metadata.requestId).toBe(running.lastRequestId());
  const cluster = await client.send(new sdk.DescribeCacheClustersCommand({})).catch((error) => error);
  expect(cluster).toBeInstanceOf(sdk.CacheClusterNotFoundFault);
  expect(cluster).toMatchObject({
    Code: 'CacheClusterNotFound',
    message: 'CacheCluster <c> not found. Create it.',
  });
});

test('every operation without a handler says so, once, with a code the SDK does not retry', async () => {
  const running = await start();
  const client = clientOf(running);
  const exported: Readonly<Record<string, unknown>> = sdk;
  for (const name of operationNames) {
    const response = await post(running, `Action=${name}&${VERSION}`);
    const code = codeOf(await response.text());
    // Those with required members are told about them first.
    expect(['UnsupportedOperation', 'InvalidParameterValue']).toContain(code);
    expect(response.status).toBe(400);
    expect(exported[`${name}Command`]).toBeDefined();
  }
  const error = await client.send(new sdk.DescribeUsersCommand({})).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(sdk.ElastiCacheServiceException);
  expect(error).toMatchObject({
    name: 'UnsupportedOperation',
    message: 'Larder decodes DescribeUsers but has no effect for it yet.',
  });
  expect(error.$metadata.attempts).toBe(1);
});

test('a handler learns who asks', async () => {
  let caller: unknown;
  const running = await start({
    lookupAccessKey: async () => ({ secretAccessKey: 'secret', rights: 'read-only' }),
    handlers: {
      DescribeUsers: async (_, asking) => {
        caller = asking;
        return {};
      },
    },
  });
  await clientOf(running).send(new sdk.DescribeUsersCommand({}));
  expect(caller).toEqual({
    requestId: running.lastRequestId(),
    accessKeyId: 'AKTEST',
    accountId: '000000000000',
    region: 'eu-test-1',
  });
});

test('with authentication on, unsigned and wrongly signed requests reach no handler', async () => {
  let calls = 0;
  const running = await start({
    lookupAccessKey: async (key) =>
      key === 'AKTEST' ? { secretAccessKey: 'secret', rights: 'operator' } : undefined,
    handlers: {
      DescribeUsers: async () => {
        calls += 1;
        return {};
      },
    },
  });
  const unsigned = await post(running, `Action=DescribeUsers&${VERSION}`);
  expect(unsigned.status).toBe(403);
  expect(codeOf(await unsigned.text())).toBe('MissingAuthenticationToken');
  const wrong = await clientOf(running, 'other')
    .send(new sdk.DescribeUsersCommand({}))
    .catch((e) => e);
  expect(wrong).toMatchObject({ name: 'SignatureDoesNotMatch', $metadata: { httpStatusCode: 403 } });
  expect(calls).toBe(0);
});

test('without authentication, web pages are refused and a GET only reads', async () => {
  const running = await start({ handlers: describeUsers });
  const body = `Action=DescribeUsers&${VERSION}`;
  for (const headers of [{ origin: 'http://evil.test' }, { 'sec-fetch-site': 'cross-site' }]) {
    const response = await post(running, body, headers as Record<string, string>);
    expect(response.status).toBe(403);
  }
  expect((await fetch(`${running.url}/?${body}`)).status).toBe(200);
  const change = await fetch(`${running.url}/?Action=DeleteUser&${VERSION}&UserId=u`);
  expect(codeOf(await change.text())).toBe('AccessDenied');
});

test('what a handler throws by accident stays inside', async () => {
  const running = await start({
    handlers: {
      DescribeUsers: async () => {
        throw new Error('password hunter2 in /var/lib');
      },
      // Not the modelled type: the encoder, not the client, finds out.
      DescribeUserGroups: (async () => ({ UserGroups: 7 })) as unknown as never,
    },
  });
  for (const action of ['DescribeUsers', 'DescribeUserGroups']) {
    const response = await post(running, `Action=${action}&${VERSION}`);
    const xml = await response.text();
    expect(response.status).toBe(500);
    expect(xml).toContain('<Type>Receiver</Type><Code>InternalFailure</Code>');
    expect(xml).not.toMatch(/hunter2|UserGroups/);
    expect(running.errors.at(-1)).toMatchObject({ requestId: running.lastRequestId() });
  }
});

test.each<[string, string, number, string]>([
  ['no action', VERSION, 400, 'MissingAction'],
  ['an unknown action', `Action=Nope&${VERSION}`, 400, 'InvalidAction'],
  ['a prototype for an action', `Action=constructor&${VERSION}`, 400, 'InvalidAction'],
  ['no version', 'Action=DescribeUsers', 400, 'InvalidAction'],
  ['an old version', 'Action=DescribeUsers&Version=2014-09-30', 400, 'InvalidAction'],
  ['two actions', `Action=DescribeUsers&Action=DeleteUser&${VERSION}`, 400, 'MalformedInput'],
  ['a broken escape', `Action=%zz&${VERSION}`, 404, 'MalformedQueryString'],
  ['too many pairs', 'a&'.repeat(10_001), 404, 'MalformedQueryString'],
  ['too many bytes', 'a'.repeat(1024 * 1024 + 1), 413, 'RequestEntityTooLarge'],
  ['CloudWatch by version', 'Action=GetDataset&Version=2010-08-01', 400, 'InvalidParameterValue'],
])('a request with %s', async (_, body, status, code) => {
  const running = await start({ handlers: describeUsers });
  const response = await post(running, body);
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('text/xml');
  expect(response.headers.get('x-amzn-requestid')).toBe(running.lastRequestId());
  const xml = await response.text();
  expect(codeOf(xml)).toBe(code);
  expect(xml).toContain(`<RequestId>${running.lastRequestId()}</RequestId>`);
});

test('ElastiCache reads only an uncompressed form', async () => {
  const running = await start({ handlers: describeUsers });
  const body = `Action=DescribeUsers&${VERSION}`;
  expect((await post(running, body, { 'content-type': 'text/plain' })).status).toBe(415);
  expect((await post(running, gzipSync(body), { 'content-encoding': 'gzip' })).status).toBe(415);
  expect(
    (await post(running, body, { 'content-type': `${FORM['content-type']}; charset=utf-8` })).status,
  ).toBe(200);
});

test('a POST without a body is read from its query, as presigned ones are sent', async () => {
  const running = await start({ handlers: describeUsers });
  const query = `Action=DescribeUsers&${VERSION}`;
  expect((await fetch(`${running.url}/?${query}`, { method: 'POST' })).status).toBe(200);
  const both = await fetch(`${running.url}/?${query}`, { method: 'POST', body: VERSION, headers: FORM });
  expect(codeOf(await both.text())).toBe('MissingAction');
});

test('health, and paths that are not', async () => {
  const running = await start();
  expect(await (await fetch(`${running.url}/health`)).json()).toEqual({ status: 'ok' });
  const lost = await fetch(`${running.url}/nowhere`);
  expect(codeOf(await lost.text())).toBe('InvalidAction');
});

test('a sender that never stops is answered and cut off', async () => {
  const running = await start({ handlers: describeUsers });
  const socket = connect(running.port, '127.0.0.1');
  open.push({ close: () => socket.destroy() });
  const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
  let answer = '';
  socket.write(
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM['content-type']}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const send = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', send);
  socket.on('data', (data) => {
    answer += data.toString();
  });
  // A reset is one of the two ways in which the server may hang up.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  send();
  await closed;
  expect(answer).toContain('413');
  expect(codeOf(answer)).toBe('RequestEntityTooLarge');
});
