/**
 * Verifies the token that a client of ElastiCache with IAM authentication sends as its password: a presigned GET for
 * `http://<cache name>/?Action=connect&User=<user id>`, without its scheme.
 */
import { ServiceError } from './errors.ts';
import { type LookupSecret, parseQuery, verifySigV4 } from './sigv4.ts';

export interface IamTokenExpectation {
  /** Of the replication group or the serverless cache, in lower case: the token is signed for it as its host. */
  readonly cacheName: string;
  readonly userId: string;
  /** Tokens of serverless caches say so, all others don't. */
  readonly resourceType?: 'ServerlessCache';
  /** When given, a token of another region is refused. */
  readonly region?: string;
  readonly lookupSecret: LookupSecret;
  readonly now: Date;
}

export type IamTokenVerdict =
  | { readonly ok: true; readonly accessKeyId: string }
  /** `why` is for a log: it holds no part of the token. Clients are told nothing but that it is wrong. */
  | { readonly ok: false; readonly why: IamTokenFault };

export type IamTokenFault =
  | 'too-long'
  | 'malformed'
  | 'another-cache'
  | 'another-user'
  | 'another-region'
  | 'lives-too-long'
  | 'expired'
  | 'unknown-access-key'
  | 'wrong-signature'
  | 'lookup-failed';

/** With a long session token of temporary credentials there is still much room. */
export const maxIamTokenLength = 8_192;
const maxLifeSeconds = 900;
const signed = [
  ...['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Expires', 'X-Amz-SignedHeaders'],
  'X-Amz-Signature',
];
const parameters = new Set([...signed, 'Action', 'User', 'ResourceType', 'X-Amz-Security-Token']);

/**
 * Whether `token` lets its bearer in as the expected user of the expected cache. Never throws, whatever the text: an
 * error of `lookupSecret` is a refusal too.
 */
export async function verifyIamToken(token: string, expected: IamTokenExpectation): Promise<IamTokenVerdict> {
  if (token.length > maxIamTokenLength) return refused('too-long');
  const slash = token.indexOf('/?');
  if (slash === -1) return refused('malformed');
  const [host, queryText] = [token.slice(0, slash), token.slice(slash + 2)];
  try {
    const fault = faultOfClaim(host, queryText, expected);
    return fault === undefined ? await verifySignature(host, queryText, expected) : refused(fault);
  } catch (error) {
    return refused(error instanceof ServiceError ? faultOf(error) : 'lookup-failed');
  }
}

/** What can be seen without the secret. */
function faultOfClaim(
  host: string,
  queryText: string,
  expected: IamTokenExpectation,
): IamTokenFault | undefined {
  if (host.toLowerCase() !== expected.cacheName.toLowerCase()) return 'another-cache';
  const query = parseQuery(queryText);
  const names = Object.keys(query);
  if (names.some((name) => !parameters.has(name) || typeof query[name] !== 'string')) return 'malformed';
  if (query.Action !== 'connect' || signed.some((name) => !Object.hasOwn(query, name))) return 'malformed';
  if (query.User !== expected.userId) return 'another-user';
  if (query.ResourceType !== expected.resourceType) return 'another-cache';
  if (!/^\d{1,6}$/.test(String(query['X-Amz-Expires']))) return 'malformed';
  return Number(query['X-Amz-Expires']) > maxLifeSeconds ? 'lives-too-long' : undefined;
}

async function verifySignature(
  host: string,
  queryText: string,
  expected: IamTokenExpectation,
): Promise<IamTokenVerdict> {
  const { accessKeyId, region } = await verifySigV4(
    // The host as the token has it: it is what was signed.
    { method: 'GET', path: '/', queryText, headers: { host }, body: new Uint8Array(0) },
    'elasticache',
    expected.lookupSecret,
    expected.now,
  );
  if (expected.region !== undefined && region !== expected.region) return refused('another-region');
  return { ok: true, accessKeyId };
}

function faultOf({ error }: ServiceError): IamTokenFault {
  if (error === 'RequestExpired') return 'expired';
  if (error === 'InvalidClientTokenId') return 'unknown-access-key';
  return error === 'SignatureDoesNotMatch' ? 'wrong-signature' : 'malformed';
}

function refused(why: IamTokenFault): IamTokenVerdict {
  return { ok: false, why };
}
