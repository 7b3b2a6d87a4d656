/** (pure) NextToken: where the next page begins, good for the request that it was given for. */
import { createHash } from 'node:crypto';
import { serviceError } from '@larder/contract/errors';

/** @param asked everything of the request that its pages depend on. @param at where the next page begins. */
export function tokenOf(asked: unknown, at: unknown): string {
  return Buffer.from(JSON.stringify([digestOf(asked), at])).toString('base64url');
}

/** @returns what was given as `at`; the caller knows what it was. @throws ServiceError InvalidNextToken */
export function readToken(asked: unknown, token: string): unknown {
  try {
    const [digest, at] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
    if (digest === digestOf(asked)) return at;
  } catch {
    // Not one of ours: refused below.
  }
  throw serviceError('InvalidNextToken', 'NextToken is not one that a previous answer to this request gave.');
}

function digestOf(asked: unknown): string {
  return createHash('sha256').update(JSON.stringify(asked)).digest('base64url').slice(0, 22);
}
