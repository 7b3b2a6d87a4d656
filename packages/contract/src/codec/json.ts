/** AWS's JSON protocols, server side. Timestamps are seconds since 1970, with a fraction; bytes are base64. */
import { serviceError } from '../errors.ts';
import type { OperationModel } from '../service-model.ts';
import type { DecodedStructure } from './query.ts';
import { BASE64 } from './scalar.ts';
import { decodeTree, encodeTree, type TreeDialect } from './tree.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

const dialect: TreeDialect = {
  timestampIs: 'a number of seconds since 1970',
  readTimestamp: (value) => (typeof value === 'number' ? value : undefined),
  writeTimestamp: (value) => value.getTime() / 1000,
  readBlob: (value) =>
    typeof value === 'string' && BASE64.test(value) ? Buffer.from(value, 'base64') : undefined,
  writeBlob: (value) => Buffer.from(value).toString('base64'),
};

/**
 * Decodes a request's body, which its reader has bounded, by the operation's input shape; an empty one is `{}`.
 *
 * @throws ServiceError MalformedInput for what is no JSON; and as decodeTree.
 */
export function decodeJson(operation: OperationModel, body: Uint8Array): DecodedStructure {
  return decodeTree(operation, body.byteLength === 0 ? {} : parse(body), dialect);
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    throw serviceError('MalformedInput', 'The request body is not valid JSON in UTF-8.');
  }
}

/** The body of a successful response. @throws TypeError as encodeTree. */
export function encodeJson(operation: OperationModel, output: unknown): string {
  return JSON.stringify(encodeTree(operation, output, dialect));
}
