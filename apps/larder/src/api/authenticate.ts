/** Who may ask, and for what. */
import { serviceError } from '@larder/contract/errors';
import { type SignedRequest, verifySigV4 } from '@larder/contract/sigv4';
import type { AccessKey } from '../access-keys.ts';

export type LookupAccessKey = (
  accessKeyId: string,
) => Promise<Pick<AccessKey, 'secretAccessKey' | 'rights'> | undefined>;

/** What is asked for, and the service that requests for it are signed for. */
export interface Asked {
  readonly operation: string;
  readonly signingName: string;
}

export interface Gate {
  /** Absent where the server runs without authentication: on a loopback address, for one developer. */
  readonly lookupAccessKey: LookupAccessKey | undefined;
  /** Where this service is; signatures must be made for it. */
  readonly region: string;
  readonly now: Date;
}

/**
 * Resolves with the access key that provably signed `request` and may perform the operation, or with undefined
 * without authentication.
 *
 * Without signatures the browser is the danger: any page can post a form to a local port. So requests a browser
 * marks as coming from a page are refused then, and a GET, which needs no mark, may only read.
 *
 * @throws ServiceError as verifySigV4; SignatureDoesNotMatch for the scope of another region; AccessDenied for a
 *   read-only key that would change something, and, without authentication, for a request from a web page or a GET
 *   that would change something.
 */
export async function authenticate(
  request: SignedRequest,
  { operation, signingName }: Asked,
  { lookupAccessKey, region, now }: Gate,
): Promise<string | undefined> {
  const onlyReads = /^(?:Describe|List|Get|Filter)/.test(operation);
  if (lookupAccessKey !== undefined) {
    let rights: AccessKey['rights'] | undefined;
    const identity = await verifySigV4(
      request,
      signingName,
      async (accessKeyId) => {
        const key = await lookupAccessKey(accessKeyId);
        rights = key?.rights;
        return key?.secretAccessKey;
      },
      now,
    );
    if (identity.region !== region) {
      throw serviceError(
        'SignatureDoesNotMatch',
        `Credential should be scoped to a valid region, not '${identity.region.slice(0, 40)}'.`,
        { hint: `This service is ${region}; "larder env" prints what clients need.` },
      );
    }
    if (rights !== 'operator' && !onlyReads) {
      throw serviceError(
        'AccessDenied',
        `The access key ${identity.accessKeyId} is read-only and may not perform ${operation}.`,
        { hint: 'Use one with the rights of an operator.' },
      );
    }
    return identity.accessKeyId;
  }
  // Typed into the address bar the site is `none`; every fetch, form or image of a page has another value.
  const site = request.headers['sec-fetch-site'] ?? 'none';
  if (request.headers.origin !== undefined || site !== 'none') {
    throw serviceError('AccessDenied', 'Requests from web pages are refused while authentication is off.');
  }
  if (request.method === 'GET' && !onlyReads) {
    throw serviceError('AccessDenied', `${operation} needs a POST while authentication is off.`);
  }
  return undefined;
}
