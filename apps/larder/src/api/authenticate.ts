/** Who may ask. */
import { elastiCache } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { type LookupSecret, type SignedRequest, verifySigV4 } from '@larder/contract/sigv4';
import type { Action } from './dispatch.ts';

/**
 * Resolves with the access key that provably signed `request`, or with undefined where the server runs without
 * authentication (no `lookupSecret`): on a loopback address, for one developer.
 *
 * Without signatures the browser is the danger: any page can post a form to a local port. So requests a browser
 * marks as coming from a page are refused then, and a GET, which needs no mark, may only read.
 *
 * @throws ServiceError as verifySigV4; AccessDenied for an unsigned request from a web page or an unsigned GET that
 *   would change something.
 */
export async function authenticate(
  request: SignedRequest,
  action: Action,
  lookupSecret: LookupSecret | undefined,
  now: Date,
): Promise<string | undefined> {
  if (lookupSecret !== undefined) {
    const identity = await verifySigV4(request, elastiCache.signingName, lookupSecret, now);
    return identity.accessKeyId;
  }
  // Typed into the address bar the site is `none`; every fetch, form or image of a page has another value.
  const site = request.headers['sec-fetch-site'] ?? 'none';
  if (request.headers.origin !== undefined || site !== 'none') {
    throw serviceError('AccessDenied', 'Requests from web pages are refused while authentication is off.');
  }
  if (request.method === 'GET' && !/^(?:Describe|List)/.test(action.operation)) {
    throw serviceError('AccessDenied', `${action.operation} needs a POST while authentication is off.`);
  }
  return undefined;
}
