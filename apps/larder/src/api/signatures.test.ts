/** Signatures over the wire: what a client that signs wrongly is told. The corners are verifySigV4's own tests'. */
import { Sha256 } from '@aws-crypto/sha256-js';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from './running-api.test-support.ts';

const region = 'eu-test-1';
const now = new Date('2030-01-01T12:00:00Z');
const version = 'Version=2015-02-02';
const reading = `Action=DescribeUsers&${version}`;
const changing = `Action=DeleteUser&${version}&UserId=u`;

let running: RunningApi;
/** Operations that reached a handler, with the key that signed. */
let reached: [string, string | undefined][];

beforeEach(async () => {
  reached = [];
  const handlers: Handlers = {
    DescribeUsers: async (_, { accessKeyId }) => {
      reached.push(['DescribeUsers', accessKeyId]);
      return { Users: [] };
    },
    ListTagsForResource: async (_, { accessKeyId }) => {
      reached.push(['ListTagsForResource', accessKeyId]);
      return { TagList: [] };
    },
    DeleteUser: async (_, { accessKeyId }) => {
      reached.push(['DeleteUser', accessKeyId]);
      return {};
    },
  };
  running = await startApi({
    handlers,
    now: () => now,
    region,
    lookupAccessKey: async (id) =>
      id === 'AKOPERATOR' || id === 'AKREADER'
        ? { secretAccessKey: 'hunter2-hunter2', rights: id === 'AKOPERATOR' ? 'operator' : 'read-only' }
        : undefined,
  });
});
afterEach(() => running.close());

interface Signing {
  readonly accessKeyId?: string;
  readonly secret?: string;
  readonly region?: string;
  readonly service?: string;
  readonly date?: Date;
  readonly expiresIn?: number;
}

interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

type Form = (text: string, signing?: Signing) => Promise<Sent>;

function signer(signing: Signing) {
  return new SignatureV4({
    credentials: {
      accessKeyId: signing.accessKeyId ?? 'AKOPERATOR',
      secretAccessKey: signing.secret ?? 'hunter2-hunter2',
    },
    region: signing.region ?? region,
    service: signing.service ?? 'elasticache',
    sha256: Sha256,
  });
}

const host = () => new URL(running.url).host;

/** As every SDK sends it: a form, signed in the Authorization header. */
const headerForm: Form = async (body, signing = {}) => {
  const { headers } = await signer(signing).sign(
    {
      method: 'POST',
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: '/',
      headers: { host: host(), 'content-type': 'application/x-www-form-urlencoded' },
      body,
    },
    { signingDate: signing.date ?? now },
  );
  return { url: running.url, method: 'POST', headers, body };
};

/** A presigned URL. */
const queryForm: Form = async (text, signing = {}) => {
  const { query } = await signer(signing).presign(
    {
      method: 'GET',
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: '/',
      query: Object.fromEntries(new URLSearchParams(text)),
      headers: { host: host() },
    },
    { signingDate: signing.date ?? now, expiresIn: signing.expiresIn ?? 60 },
  );
  const search = Object.entries(query ?? {}).map(
    ([key, value]) => `${key}=${encodeURIComponent(String(value))}`,
  );
  return { url: `${running.url}/?${search.join('&')}`, method: 'GET', headers: {} };
};

async function send({
  url,
  ...init
}: Sent): Promise<{ status: number; code: string | undefined; text: string }> {
  const response = await fetch(url, init);
  const text = await response.text();
  // Every answer names its request, and no answer holds a secret.
  expect(text).toContain(`<RequestId>${running.lastRequestId()}</RequestId>`);
  expect(text).not.toContain('hunter2');
  return { status: response.status, code: /<Code>([^<]*)<\/Code>/.exec(text)?.[1], text };
}

describe.each<[string, Form]>([
  ['in a header', headerForm],
  ['in the query', queryForm],
])('signed %s', (_, form) => {
  test('rightly', async () => {
    expect(await send(await form(reading))).toMatchObject({ status: 200 });
    expect(await send(await form(changing))).toMatchObject({ status: 200 });
    expect(reached).toEqual([
      ['DescribeUsers', 'AKOPERATOR'],
      ['DeleteUser', 'AKOPERATOR'],
    ]);
  });

  const minutes = (count: number) => new Date(now.getTime() + count * 60_000);
  test.each<[string, Signing, number, string, RegExp]>([
    ['another secret', { secret: 'other' }, 403, 'SignatureDoesNotMatch', /Check your secret/],
    ['an unknown key', { accessKeyId: 'AKNOBODY' }, 403, 'InvalidClientTokenId', /token/],
    [
      'another service',
      { service: 'monitoring' },
      403,
      'SignatureDoesNotMatch',
      /correct service: 'elasticache'/,
    ],
    [
      'another region',
      { region: 'us-west-2' },
      403,
      'SignatureDoesNotMatch',
      /valid region, not 'us-west-2'/,
    ],
    ['a date long past', { date: minutes(-16) }, 400, 'RequestExpired', /2030-01-01T11:44/],
    ['a date to come', { date: minutes(16) }, 400, 'RequestExpired', /2030-01-01T12:16/],
  ])('with %s', async (__, signing, status, code, message) => {
    const answer = await send(await form(reading, signing));
    expect(answer).toMatchObject({ status, code });
    expect(answer.text.replaceAll('&apos;', "'")).toMatch(message);
    expect(reached).toEqual([]);
  });

  test('for another day than it is dated', async () => {
    const sent = await form(reading);
    const moved = (text: string) =>
      text.replace('20300101/', '20300102/').replace('20300101%2F', '20300102%2F');
    const { authorization = '' } = sent.headers;
    const headers = authorization === '' ? {} : { ...sent.headers, authorization: moved(authorization) };
    const answer = await send({ ...sent, url: moved(sent.url), headers });
    expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    expect(answer.text).toContain('Date in Credential scope');
    expect(reached).toEqual([]);
  });

  test('by a read-only key: it describes and lists, and changes nothing', async () => {
    const by = { accessKeyId: 'AKREADER' };
    expect(await send(await form(reading, by))).toMatchObject({ status: 200 });
    const listing = `Action=ListTagsForResource&${version}&ResourceName=x`;
    expect(await send(await form(listing, by))).toMatchObject({ status: 200 });
    const answer = await send(await form(changing, by));
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect(answer.text).toContain('AKREADER is read-only and may not perform DeleteUser');
    // Also one without a handler, and one whose input is wrong: rights come first.
    for (const text of [`Action=CreateUser&${version}`, `Action=TestFailover&${version}`]) {
      expect(await send(await form(text, by))).toMatchObject({ status: 403, code: 'AccessDenied' });
    }
    expect(reached.map(([operation]) => operation)).toEqual(['DescribeUsers', 'ListTagsForResource']);
  });

  test('and its parameters changed on the way', async () => {
    const sent = await form(`${reading}&UserId=mine`);
    const change = (text: string) => text.replace('UserId=mine', 'UserId=yours');
    const answer = await send({
      ...sent,
      url: change(sent.url),
      ...(sent.body !== undefined && { body: change(sent.body) }),
    });
    expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    expect(reached).toEqual([]);
  });
});

test('a signed reading request replayed with a changing body', async () => {
  const sent = await headerForm(reading);
  // The signed checksum header goes on vouching for the body that was signed.
  expect(sent.headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/);
  expect(await send(sent)).toMatchObject({ status: 200 });
  const answer = await send({ ...sent, body: changing });
  expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
  expect(reached.map(([operation]) => operation)).toEqual(['DescribeUsers']);
});

test('a presigned URL carries no body that was not signed', async () => {
  const sent = await queryForm(reading);
  const answer = await send({
    ...sent,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: changing,
  });
  expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
  expect(reached).toEqual([]);
});

test('a presigned URL ends when it says, not when its clock is off', async () => {
  const ago = (seconds: number) => new Date(now.getTime() - seconds * 1_000);
  const week = 7 * 24 * 3_600;
  const answer = async (signing: Signing) => send(await queryForm(reading, signing));
  expect(await answer({ date: ago(60), expiresIn: 60 })).toMatchObject({ status: 200 });
  expect(await answer({ date: ago(61), expiresIn: 60 })).toMatchObject({
    status: 400,
    code: 'RequestExpired',
  });
  expect(await answer({ date: ago(week), expiresIn: week })).toMatchObject({ status: 200 });
});

test.each<[string, Record<string, string>, string]>([
  ['no signature', {}, 'MissingAuthenticationToken'],
  ['a password', { authorization: 'Basic c2VjcmV0' }, 'IncompleteSignature'],
  ['another algorithm', { authorization: 'AWS4-ECDSA-P256-SHA256 Credential=x' }, 'IncompleteSignature'],
  ['half a signature', { authorization: 'AWS4-HMAC-SHA256 Credential=AKOPERATOR' }, 'IncompleteSignature'],
])('%s', async (_, headers, code) => {
  const status = code === 'IncompleteSignature' ? 400 : 403;
  for (const body of [reading, changing]) {
    const answer = await send({
      url: running.url,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    });
    expect(answer).toMatchObject({ status, code });
  }
  const unsigned = await send({ url: `${running.url}/?${reading}`, method: 'GET', headers });
  expect(unsigned).toMatchObject({ status, code });
  expect(reached).toEqual([]);
});
