import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type IamTokenExpectation, maxIamTokenLength, verifyIamToken } from './iam-token.ts';

const NOW = new Date('2026-11-22T20:22:09Z');
const secrets: Readonly<Record<string, string>> = { AKTEST: 'secret', AKOTHER: 'other secret' };
const expectation: IamTokenExpectation = {
  cacheName: 'shop',
  userId: 'iam-user-01',
  region: 'eu-test-1',
  lookupSecret: (accessKeyId) => secrets[accessKeyId],
  now: NOW,
};
const verify = (token: string, change: Partial<IamTokenExpectation> = {}) =>
  verifyIamToken(token, { ...expectation, ...change });
const accepted = { ok: true, accessKeyId: 'AKTEST' };
const refusal = (why: string) => ({ ok: false, why });
const later = (ms: number) => new Date(NOW.getTime() + ms);

interface TokenOptions {
  readonly cacheName?: string;
  readonly query?: Record<string, string>;
  readonly method?: string;
  readonly expiresIn?: number;
  readonly service?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
}

/** As AWS's own examples for JavaScript do it. */
async function makeToken(options: TokenOptions = {}): Promise<string> {
  const { cacheName = 'shop', sessionToken } = options;
  const signer = new SignatureV4({
    credentials: {
      accessKeyId: options.accessKeyId ?? 'AKTEST',
      secretAccessKey: options.secretAccessKey ?? 'secret',
      ...(sessionToken !== undefined && { sessionToken }),
    },
    region: options.region ?? 'eu-test-1',
    service: options.service ?? 'elasticache',
    sha256: Sha256,
  });
  const { query, hostname, path } = await signer.presign(
    {
      method: options.method ?? 'GET',
      protocol: 'http:',
      hostname: cacheName,
      path: '/',
      headers: { host: cacheName },
      query: options.query ?? { Action: 'connect', User: 'iam-user-01' },
    },
    { expiresIn: options.expiresIn ?? 900, signingDate: NOW },
  );
  const text = Object.entries(query ?? {})
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
    .join('&');
  return `${hostname}${path}?${text}`;
}

test.each<[string, TokenOptions]>([
  ['plain', {}],
  ['of temporary credentials', { sessionToken: 'IQoJ/b3+JpZ2==' }],
  ['of a shorter life', { expiresIn: 60 }],
])('a token %s is accepted', async (_, options) => {
  expect(await verify(await makeToken(options))).toEqual(accepted);
});

test('the order of its parameters does not matter', async () => {
  const [host, query] = (await makeToken()).split('?');
  const turned = `${host}?${query!.split('&').reverse().join('&')}`;
  expect(await verify(turned)).toEqual(accepted);
});

test('a cache named in capitals is the same cache', async () => {
  expect(await verify(await makeToken({ cacheName: 'Shop' }))).toEqual(accepted);
});

/** By botocore's RequestSigner.generate_presigned_url, as AWS's example for Python has it. */
const botocoreToken =
  'shop/?' +
  [
    'Action=connect',
    'User=iam-user-01',
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    'X-Amz-Credential=AKTEST%2F20261122%2Feu-test-1%2Felasticache%2Faws4_request',
    'X-Amz-Date=20261122T202209Z',
    'X-Amz-Expires=900',
    'X-Amz-SignedHeaders=host',
    'X-Amz-Signature=b364a57c15a2feed9f99e9d592bba54a4897ea7e905d7011ff4627b3765cbabf',
  ].join('&');
test('a token made by another signer', async () => {
  expect(await verify(botocoreToken)).toEqual(accepted);
});

test('tokens of serverless caches are for those only', async () => {
  const query = { Action: 'connect', User: 'iam-user-01', ResourceType: 'ServerlessCache' };
  const token = await makeToken({ query });
  expect(await verify(token, { resourceType: 'ServerlessCache' })).toEqual(accepted);
  expect(await verify(token)).toEqual(refusal('another-cache'));
  expect(await verify(await makeToken(), { resourceType: 'ServerlessCache' })).toEqual(
    refusal('another-cache'),
  );
});

test('it lives for 15 minutes, and a clock may be 15 minutes behind', async () => {
  const token = await makeToken();
  expect(await verify(token, { now: later(900_000) })).toEqual(accepted);
  expect(await verify(token, { now: later(900_001) })).toEqual(refusal('expired'));
  expect(await verify(token, { now: later(-900_000) })).toEqual(accepted);
  expect(await verify(token, { now: later(-900_001) })).toEqual(refusal('expired'));
  const short = await makeToken({ expiresIn: 60 });
  expect(await verify(short, { now: later(60_001) })).toEqual(refusal('expired'));
});

test.each<[string, TokenOptions, string]>([
  ['another cache', { cacheName: 'shop2' }, 'another-cache'],
  ['another user', { query: { Action: 'connect', User: 'iam-user-02' } }, 'another-user'],
  ['no user', { query: { Action: 'connect' } }, 'another-user'],
  ['another action', { query: { Action: 'delete', User: 'iam-user-01' } }, 'malformed'],
  ['more parameters', { query: { Action: 'connect', User: 'iam-user-01', X: '1' } }, 'malformed'],
  ['a longer life', { expiresIn: 901 }, 'lives-too-long'],
  ['another service', { service: 's3' }, 'wrong-signature'],
  ['another region', { region: 'eu-test-2' }, 'another-region'],
  ['another method', { method: 'POST' }, 'wrong-signature'],
  ['another secret', { secretAccessKey: 'guess' }, 'wrong-signature'],
  ['an unknown key', { accessKeyId: 'AKNONE' }, 'unknown-access-key'],
])('a token for or with %s is refused', async (_, options, why) => {
  expect(await verify(await makeToken(options))).toEqual(refusal(why));
});

test('a change of any one character is refused', async () => {
  const token = await makeToken({ sessionToken: 'abc' });
  for (let at = 0; at < token.length; at += 1) {
    const other = token[at] === 'a' ? 'b' : 'a';
    const changed = token.slice(0, at) + other + token.slice(at + 1);
    // An escape may be written in either case.
    if (decoded(changed) === decodeURIComponent(token)) continue;
    expect(await verify(changed), `at ${at}: ${changed}`).toMatchObject({ ok: false });
  }
});

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

test('a parameter left out or given twice is refused', async () => {
  const [host, query] = (await makeToken({ sessionToken: 'abc' })).split('?');
  const parts = query!.split('&');
  for (const part of parts) {
    const without = parts.filter((each) => each !== part).join('&');
    expect(await verify(`${host}?${without}`), part).toMatchObject({ ok: false });
    expect(await verify(`${host}?${query}&${part}`), part).toEqual(refusal('malformed'));
  }
});

test('hostile text is refused and never throws', async () => {
  expect(await verify('x'.repeat(maxIamTokenLength + 1))).toEqual(refusal('too-long'));
  for (const text of [
    '',
    '/?',
    'shop/?',
    'shop/?%',
    'shop/?%ff',
    'shop',
    '?',
    'shop/?__proto__=1&constructor=2',
  ]) {
    expect(await verify(text), text).toMatchObject({ ok: false });
  }
  const token = await makeToken();
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc
          .tuple(fc.nat(token.length), fc.nat(20), fc.string({ unit: 'binary' }))
          .map(([at, cut, text]) => token.slice(0, at) + text + token.slice(at + cut)),
      ),
      async (text) => {
        fc.pre(text !== token);
        const verdict = await verify(text);
        // Escapes in another case, or of what needs none, say the same.
        expect(verdict.ok && decoded(text) !== decodeURIComponent(token)).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});

test('a failing lookup is a refusal', async () => {
  const lookupSecret = () => Promise.reject(new Error('disk'));
  expect(await verify(await makeToken(), { lookupSecret })).toEqual(refusal('lookup-failed'));
});
