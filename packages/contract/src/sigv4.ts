/**
 * Verifies AWS Signature Version 4 by signing the request again with the same library clients use, and comparing.
 *
 * The canonical form of a request has many corners; a second implementation of it would differ in one. So the signer
 * is the oracle, and what is left here is what a signer never checks: that the request says what it signs, that it
 * is fresh, and that its body is the one that was signed.
 */
import { timingSafeEqual } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import type { HttpRequest } from '@smithy/types';
import { serviceError } from './errors.ts';

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** How far a client's clock may be off, either way. */
export const MAX_CLOCK_SKEW_MS = 15 * 60_000;
/** The longest life of a presigned URL: seven days, as AWS has it. */
export const MAX_PRESIGNED_SECONDS = 7 * 24 * 60 * 60;
const MAX_AUTHORIZATION_LENGTH = 8192;

export interface SignedRequest {
  readonly method: string;
  /** Still percent-encoded, without the query. */
  readonly path: string;
  /** The text behind `?`, still encoded; empty when there is none. */
  readonly queryText: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface Identity {
  readonly accessKeyId: string;
  readonly region: string;
  readonly service: string;
}

export type LookupSecret = (accessKeyId: string) => string | undefined | Promise<string | undefined>;

/**
 * Proves who sent `request`, from its Authorization header or its presigned query.
 *
 * The body, the path, the query and every signed header are covered: a change to any is SignatureDoesNotMatch. A
 * session token is not interpreted; it is covered like any header. The region of the scope is returned, not judged.
 *
 * @param service the only service name accepted in the credential scope.
 * @throws ServiceError MissingAuthenticationToken without a signature, IncompleteSignature for one that lacks a part,
 *   InvalidClientTokenId for an unknown access key, RequestExpired beyond MAX_CLOCK_SKEW_MS (or a presigned life),
 *   SignatureDoesNotMatch for a wrong scope, body or signature.
 */
export async function verifySigV4(
  request: SignedRequest,
  service: string,
  lookupSecret: LookupSecret,
  now: Date,
): Promise<Identity> {
  const query = parseQuery(request.queryText);
  const claim = readClaim(request, query);
  checkScope(claim, service);
  checkSignedHeaders(claim, request.headers);
  checkFreshness(claim, now);
  const secretAccessKey = await lookupSecret(claim.accessKeyId);
  if (secretAccessKey === undefined) {
    throw serviceError('InvalidClientTokenId', 'The security token included in the request is invalid.');
  }
  const expected = await signAgain(request, query, claim, secretAccessKey);
  if (!equalInConstantTime(expected, claim.signature)) throw mismatch();
  return { accessKeyId: claim.accessKeyId, region: claim.region, service };
}

/** What a request says about its own signature. Nothing in it is trusted yet. */
interface Claim {
  readonly accessKeyId: string;
  readonly scopeDate: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
  readonly signedHeaders: ReadonlySet<string>;
  readonly signature: string;
  readonly signedAt: Date;
  /** The life of a presigned URL; undefined for the header form. */
  readonly presignedSeconds: number | undefined;
}

type Query = Readonly<Record<string, string | string[]>>;

function readClaim(request: SignedRequest, query: Query): Claim {
  const authorization = request.headers.authorization;
  if (authorization !== undefined) {
    const fields = parseAuthorization(authorization);
    return claimOf(
      fields.get('Credential'),
      fields.get('SignedHeaders'),
      fields.get('Signature'),
      request.headers['x-amz-date'],
      undefined,
    );
  }
  if (query['X-Amz-Algorithm'] === undefined && query['X-Amz-Signature'] === undefined) {
    throw serviceError('MissingAuthenticationToken', 'The request is missing an authentication token.', {
      hint: 'Sign it with an access key that this service knows.',
    });
  }
  if (single(query, 'X-Amz-Algorithm') !== ALGORITHM)
    throw incomplete(`X-Amz-Algorithm must be ${ALGORITHM}`);
  return claimOf(
    single(query, 'X-Amz-Credential'),
    single(query, 'X-Amz-SignedHeaders'),
    single(query, 'X-Amz-Signature'),
    single(query, 'X-Amz-Date'),
    single(query, 'X-Amz-Expires') ?? '',
  );
}

function parseAuthorization(header: string): ReadonlyMap<string, string> {
  if (header.length > MAX_AUTHORIZATION_LENGTH || !header.startsWith(`${ALGORITHM} `)) {
    throw incomplete(`the Authorization header must begin with ${ALGORITHM}`);
  }
  const fields = new Map<string, string>();
  for (const part of header.slice(ALGORITHM.length).split(',')) {
    const equals = part.indexOf('=');
    const key = part.slice(0, equals).trim();
    if (equals === -1 || fields.has(key)) throw incomplete('the Authorization header is malformed');
    fields.set(key, part.slice(equals + 1).trim());
  }
  return fields;
}

function claimOf(
  credential: string | undefined,
  signedHeaders: string | undefined,
  signature: string | undefined,
  date: string | undefined,
  expires: string | undefined,
): Claim {
  if (!credential || !signedHeaders || !signature)
    throw incomplete('it must have Credential, SignedHeaders and Signature');
  const [accessKeyId, scopeDate, region, service, terminator, ...surplus] = credential.split('/');
  if (!accessKeyId || !scopeDate || !region || !service || !terminator || surplus.length > 0) {
    throw incomplete('Credential must be ACCESS_KEY/DATE/REGION/SERVICE/aws4_request');
  }
  if (!/^[0-9a-f]{64}$/.test(signature)) throw incomplete('Signature must be 64 hexadecimal digits');
  const signedAt = date === undefined ? undefined : parseLongDate(date);
  if (signedAt === undefined) throw incomplete('it must have an X-Amz-Date such as 20150202T182218Z');
  const presignedSeconds = expires === undefined ? undefined : parseExpires(expires);
  return {
    accessKeyId,
    scopeDate,
    region,
    service,
    terminator,
    signedHeaders: new Set(signedHeaders.split(';')),
    signature,
    signedAt,
    presignedSeconds,
  };
}

function parseLongDate(text: string): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function parseExpires(text: string): number {
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= 1 && seconds <= MAX_PRESIGNED_SECONDS)) {
    throw incomplete(`X-Amz-Expires must be 1 to ${MAX_PRESIGNED_SECONDS} seconds`);
  }
  return seconds;
}

function checkScope(claim: Claim, service: string): void {
  if (claim.service !== service) {
    throw serviceError(
      'SignatureDoesNotMatch',
      `Credential should be scoped to correct service: '${service}'.`,
    );
  }
  if (claim.terminator !== 'aws4_request') {
    throw serviceError(
      'SignatureDoesNotMatch',
      "Credential should be scoped with a valid terminator: 'aws4_request'.",
    );
  }
  if (claim.scopeDate !== longDateOf(claim.signedAt).slice(0, 8)) {
    throw serviceError(
      'SignatureDoesNotMatch',
      'Date in Credential scope does not match the date of the request.',
    );
  }
}

function checkSignedHeaders(claim: Claim, headers: SignedRequest['headers']): void {
  // An unsigned Host could be replayed to another service, an unsigned date kept alive for ever.
  const mustBeSigned = claim.presignedSeconds === undefined ? ['host', 'x-amz-date'] : ['host'];
  const unsigned = mustBeSigned.filter((name) => !claim.signedHeaders.has(name));
  if (unsigned.length > 0) throw incomplete(`these headers must be signed: ${unsigned.join(', ')}`);
  for (const name of claim.signedHeaders) {
    // hasOwn: the names are the client's, and `constructor` is on every object.
    if (!Object.hasOwn(headers, name)) throw incomplete('a header in SignedHeaders is not in the request');
  }
}

function checkFreshness(claim: Claim, now: Date): void {
  const ageMs = now.getTime() - claim.signedAt.getTime();
  const oldestMs = claim.presignedSeconds === undefined ? MAX_CLOCK_SKEW_MS : claim.presignedSeconds * 1000;
  if (ageMs > oldestMs || ageMs < -MAX_CLOCK_SKEW_MS) {
    throw serviceError(
      'RequestExpired',
      `The request is dated ${claim.signedAt.toISOString()}; the time here is ${now.toISOString()}.`,
    );
  }
}

async function signAgain(
  request: SignedRequest,
  query: Query,
  claim: Claim,
  secretAccessKey: string,
): Promise<string> {
  const signer = new SignatureV4({
    credentials: { accessKeyId: claim.accessKeyId, secretAccessKey },
    region: claim.region,
    service: claim.service,
    sha256: Sha256,
    // Else the signer would add a header that the client did not sign.
    applyChecksum: false,
  });
  const headers = Object.fromEntries(
    [...claim.signedHeaders].map((name) => [name, request.headers[name] ?? '']),
  );
  await checkBodyHash(headers, request.body);
  const unsigned: HttpRequest = {
    method: request.method,
    protocol: 'http:',
    hostname: request.headers.host ?? '',
    path: request.path,
    query: { ...query },
    headers,
    body: request.body,
  };
  // `signableHeaders` keeps headers in that the signer by itself would leave out, such as user-agent.
  const signableHeaders = new Set(claim.signedHeaders);
  if (claim.presignedSeconds === undefined) {
    const signed = await signer.sign(unsigned, { signingDate: claim.signedAt, signableHeaders });
    return /Signature=([0-9a-f]{64})$/.exec(signed.headers.authorization ?? '')?.[1] ?? '';
  }
  const presigned = await signer.presign(unsigned, {
    signingDate: claim.signedAt,
    expiresIn: claim.presignedSeconds,
    signableHeaders,
    // A signed x-amz header stays the header it was.
    unhoistableHeaders: signableHeaders,
  });
  const signature = presigned.query?.['X-Amz-Signature'];
  return typeof signature === 'string' ? signature : '';
}

/**
 * The signer takes a signed x-amz-content-sha256 at its word, so a changed body would pass. It is compared with the
 * body first; `UNSIGNED-PAYLOAD` therefore is refused.
 */
async function checkBodyHash(
  signedHeaders: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<void> {
  const claimed = signedHeaders['x-amz-content-sha256'];
  if (claimed === undefined) return;
  const hash = new Sha256();
  hash.update(body);
  if (!equalInConstantTime(Buffer.from(await hash.digest()).toString('hex'), claimed)) throw mismatch();
}

/**
 * A key that comes several times has an array. Here `+` is a plus: it is how the signer, too, reads a query.
 * @throws ServiceError MalformedQueryString for a broken percent escape.
 */
export function parseQuery(text: string): Query {
  const query = new Map<string, string | string[]>();
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const key = decode(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? '' : decode(part.slice(equals + 1));
    const before = query.get(key);
    query.set(key, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(query);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw serviceError('MalformedQueryString', 'The query string holds a broken percent escape.');
  }
}

function single(query: Query, key: string): string | undefined {
  const value = query[key];
  if (Array.isArray(value)) throw incomplete(`${key} is given more than once`);
  return value;
}

function longDateOf(date: Date): string {
  return date.toISOString().replace(/[-:]|\.\d{3}/g, '');
}

function equalInConstantTime(expected: string, given: string): boolean {
  const a = Buffer.from(expected);
  const b = Buffer.from(given);
  // Lengths are public: a signature always has 64 digits.
  return a.length === b.length && a.length > 0 && timingSafeEqual(a, b);
}

function incomplete(reason: string) {
  return serviceError('IncompleteSignature', `The request's signature is incomplete: ${reason}.`);
}

function mismatch() {
  return serviceError(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your secret access key and signing method.',
  );
}
