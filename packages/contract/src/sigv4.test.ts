import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { expect, test } from 'vitest';
import { MAX_CLOCK_SKEW_MS, type SignedRequest, verifySigV4 } from './sigv4.ts';

const NOW = new Date('2015-08-30T12:36:00Z');
const later = (ms: number) => new Date(NOW.getTime() + ms);
const lookup = (accessKeyId: string) => (accessKeyId === 'AKTEST' ? 'secret' : undefined);
const verify = (request: SignedRequest, now = NOW) => verifySigV4(request, 'elasticache', lookup, now);
const BODY = 'Action=DescribeUsers&Version=2015-02-02';

interface SigningOptions {
  readonly secret?: string;
  readonly accessKeyId?: string;
  readonly service?: string;
  readonly sessionToken?: string;
  readonly headers?: Record<string, string>;
  readonly checksum?: boolean;
}

function signer({
  secret = 'secret',
  accessKeyId = 'AKTEST',
  service,
  sessionToken,
  checksum,
}: SigningOptions) {
  return new SignatureV4({
    credentials: {
      accessKeyId,
      secretAccessKey: secret,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
    region: 'eu-test-1',
    service: service ?? 'elasticache',
    sha256: Sha256,
    applyChecksum: checksum ?? false,
  });
}

async function signedPost(options: SigningOptions = {}): Promise<SignedRequest> {
  const body = new TextEncoder().encode(BODY);
  const { headers } = await signer(options).sign(
    {
      method: 'POST',
      protocol: 'http:',
      hostname: 'localhost',
      path: '/',
      headers: {
        host: 'localhost:1',
        'content-type': 'application/x-www-form-urlencoded',
        ...options.headers,
      },
      body,
    },
    { signingDate: NOW },
  );
  return { method: 'POST', path: '/', queryText: '', headers, body };
}

async function presignedGet(options: SigningOptions = {}): Promise<SignedRequest> {
  const { query } = await signer(options).presign(
    {
      method: 'GET',
      protocol: 'http:',
      hostname: 'localhost',
      path: '/',
      query: { Action: 'DescribeUsers', Version: '2015-02-02', Marker: 'a b+c/ü' },
      headers: { host: 'localhost:1' },
    },
    { signingDate: NOW, expiresIn: 60 },
  );
  const queryText = Object.entries(query ?? {})
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
    .join('&');
  return { method: 'GET', path: '/', queryText, headers: { host: 'localhost:1' }, body: new Uint8Array(0) };
}

const withHeaders = (request: SignedRequest, headers: Record<string, string>): SignedRequest => ({
  ...request,
  headers: { ...request.headers, ...headers },
});

const authorization = (request: SignedRequest) => request.headers.authorization ?? '';

test.each([
  ['plainly', {}],
  ['with a session token', { sessionToken: 'to+ken/==' }],
  ['with a checksum header', { checksum: true }],
  ['with a header the signer leaves out by itself left unsigned', { headers: { 'user-agent': 'x' } }],
])('a request signed %s', async (_, options) => {
  await expect(verify(await signedPost(options))).resolves.toEqual({
    accessKeyId: 'AKTEST',
    region: 'eu-test-1',
    service: 'elasticache',
  });
});

// From AWS's own documentation and test suite: an oracle that is not this library.
test.each([
  [
    'service',
    '',
    'host;x-amz-date',
    'example.amazonaws.com',
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  ],
  [
    'iam',
    'Action=ListUsers&Version=2010-05-08',
    'content-type;host;x-amz-date',
    'iam.amazonaws.com',
    '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  ],
])('the published example for %s', async (service, queryText, signedHeaders, host, signature) => {
  const request: SignedRequest = {
    method: 'GET',
    path: '/',
    queryText,
    headers: {
      host,
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'x-amz-date': '20150830T123600Z',
      authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/${service}/aws4_request, SignedHeaders=${signedHeaders}, Signature=${signature}`,
    },
    body: new Uint8Array(0),
  };
  const secret = () => 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  await expect(verifySigV4(request, service, secret, NOW)).resolves.toMatchObject({ region: 'us-east-1' });
  await expect(
    verifySigV4({ ...request, queryText: 'Action=DeleteUser' }, service, secret, NOW),
  ).rejects.toMatchObject({ code: 'SignatureDoesNotMatch' });
});

test('a presigned URL, until it runs out', async () => {
  const request = await presignedGet();
  await expect(verify(request, later(59_000))).resolves.toMatchObject({ accessKeyId: 'AKTEST' });
  await expect(verify(request, later(61_000))).rejects.toMatchObject({ code: 'RequestExpired' });
  await expect(verify(await presignedGet({ sessionToken: 't' }))).resolves.toBeDefined();
});

test.each<[string, (text: string) => string, string]>([
  ['another parameter', (text) => `${text}&UserId=x`, 'SignatureDoesNotMatch'],
  ['a longer life', (text) => text.replace('Expires=60', 'Expires=600'), 'SignatureDoesNotMatch'],
  ['too long a life', (text) => text.replace('Expires=60', 'Expires=604801'), 'IncompleteSignature'],
  ['no life', (text) => text.replace('X-Amz-Expires=60', ''), 'IncompleteSignature'],
  ['two dates', (text) => `${text}&X-Amz-Date=20150830T123600Z`, 'IncompleteSignature'],
  ['no algorithm', (text) => text.replace('X-Amz-Algorithm', 'X'), 'IncompleteSignature'],
  ['a broken escape', (text) => `${text}&a=%zz`, 'MalformedQueryString'],
])('a presigned URL changed to have %s', async (_, change, code) => {
  const request = await presignedGet();
  await expect(verify({ ...request, queryText: change(request.queryText) })).rejects.toMatchObject({ code });
});

test('the clock may be off by fifteen minutes', async () => {
  const request = await signedPost();
  await expect(verify(request, later(MAX_CLOCK_SKEW_MS))).resolves.toBeDefined();
  await expect(verify(request, later(-MAX_CLOCK_SKEW_MS))).resolves.toBeDefined();
  for (const skewMs of [MAX_CLOCK_SKEW_MS + 1000, -MAX_CLOCK_SKEW_MS - 1000]) {
    await expect(verify(request, later(skewMs))).rejects.toMatchObject({ code: 'RequestExpired' });
  }
});

test('another body is refused, also when a checksum header vouches for the old one', async () => {
  const body = new TextEncoder().encode('Action=DeleteUser&Version=2015-02-02');
  for (const checksum of [false, true]) {
    const request = { ...(await signedPost({ checksum })), body };
    await expect(verify(request)).rejects.toMatchObject({ code: 'SignatureDoesNotMatch', httpStatus: 403 });
  }
  const unsignedPayload = await signedPost({ headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } });
  await expect(verify(unsignedPayload)).rejects.toMatchObject({ code: 'SignatureDoesNotMatch' });
});

test.each<[string, SigningOptions, string]>([
  ['the wrong secret', { secret: 'other' }, 'SignatureDoesNotMatch'],
  ['an unknown key', { accessKeyId: 'AKOTHER' }, 'InvalidClientTokenId'],
  ['a key named like a prototype', { accessKeyId: '__proto__' }, 'InvalidClientTokenId'],
  ['the scope of another service', { service: 'monitoring' }, 'SignatureDoesNotMatch'],
])('signed with %s', async (_, options, code) => {
  await expect(verify(await signedPost(options))).rejects.toMatchObject({ code, httpStatus: 403 });
});

test.each<[string, (request: SignedRequest) => SignedRequest, string]>([
  ['no signature', (r) => ({ ...r, headers: { host: 'h' } }), 'MissingAuthenticationToken'],
  ['a bearer token', (r) => withHeaders(r, { authorization: 'Bearer x' }), 'IncompleteSignature'],
  ['an empty claim', (r) => withHeaders(r, { authorization: 'AWS4-HMAC-SHA256 ' }), 'IncompleteSignature'],
  [
    'no signed host',
    (r) => withHeaders(r, { authorization: authorization(r).replace('host;', '') }),
    'IncompleteSignature',
  ],
  [
    'an absent signed header named like a prototype',
    (r) => withHeaders(r, { authorization: authorization(r).replace('host;', 'constructor;host;') }),
    'IncompleteSignature',
  ],
  [
    'a short signature',
    (r) => withHeaders(r, { authorization: authorization(r).slice(0, -1) }),
    'IncompleteSignature',
  ],
  [
    'a scope of another day',
    (r) => withHeaders(r, { authorization: authorization(r).replace('20150830', '20150829') }),
    'SignatureDoesNotMatch',
  ],
  ['no date', (r) => withHeaders(r, { 'x-amz-date': 'now' }), 'IncompleteSignature'],
  ['another host', (r) => withHeaders(r, { host: 'evil' }), 'SignatureDoesNotMatch'],
  ['another path', (r) => ({ ...r, path: '/x' }), 'SignatureDoesNotMatch'],
  ['another method', (r) => ({ ...r, method: 'PUT' }), 'SignatureDoesNotMatch'],
  ['a query', (r) => ({ ...r, queryText: 'a=1' }), 'SignatureDoesNotMatch'],
])('a request with %s', async (_, change, code) => {
  await expect(verify(change(await signedPost()))).rejects.toMatchObject({ code });
});
