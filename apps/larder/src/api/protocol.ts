/** The protocols that clients speak: from a request to what it asks for, and from a result to an answer. */
import { decodeCbor, encodeCbor } from '@larder/contract/codec/cbor';
import type { ErrorProtocol } from '@larder/contract/codec/error-body';
import { type Pair, parseForm, parseFormText } from '@larder/contract/codec/form';
import { decodeJson, encodeJson } from '@larder/contract/codec/json';
import { type DecodedStructure, decodeQuery } from '@larder/contract/codec/query';
import { encodeResponse } from '@larder/contract/codec/xml';
import { serviceError } from '@larder/contract/errors';
import type { OperationModel, ServiceIdentity } from '@larder/contract/service-model';
import type { ReadRequest } from './read-request.ts';

export interface Asked {
  readonly operation: string;
  /** @throws ServiceError from the decoder. */
  readonly input: (model: OperationModel) => DecodedStructure;
}

export interface Protocol {
  /** Of a request's body. */
  readonly mediaType: string;
  readonly errors: ErrorProtocol;
  /** @throws ServiceError when the request does not say which operation it asks for. */
  read(request: ReadRequest): Asked;
  answer(model: OperationModel, output: unknown, requestId: string): Answer;
}

interface Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/**
 * @param service whose API version requests must name.
 * @param mostPairs parameters of a request.
 */
export function queryProtocol(
  service: Pick<ServiceIdentity, 'apiVersion' | 'xmlNamespace' | 'inputNumbers'>,
  title: string,
  mostPairs: number,
): Protocol {
  return {
    mediaType: 'application/x-www-form-urlencoded',
    errors: { kind: 'query', xmlNamespace: service.xmlNamespace },
    read(request) {
      const pairs = parametersOf(request, mostPairs);
      const action = single(pairs, 'Action');
      const version = single(pairs, 'Version');
      if (action === undefined) throw serviceError('MissingAction', 'The request has no Action parameter.');
      if (version !== service.apiVersion) {
        throw noOperation(
          action,
          version,
          `This service speaks ${title}'s API version ${service.apiVersion}.`,
        );
      }
      return { operation: action, input: (model) => decodeQuery(model, pairs, service.inputNumbers) };
    },
    answer: (model, output, requestId) => ({
      headers: { 'content-type': 'text/xml' },
      body: encodeResponse(model, output, requestId, service.xmlNamespace),
    }),
  };
}

/** @param prefix of `X-Amz-Target`, before the operation. */
export function jsonProtocol(version: '1.0' | '1.1', prefix: string): Protocol {
  const mediaType = `application/x-amz-json-${version}`;
  return {
    mediaType,
    errors: { kind: `json-${version}` },
    read: ({ headers, content }) => ({
      operation: (headers['x-amz-target'] ?? '').slice(prefix.length),
      input: (model) => decodeJson(model, content),
    }),
    answer: (model, output) => ({
      headers: { 'content-type': mediaType },
      body: encodeJson(model, output),
    }),
  };
}

/** @param prefix of the path, before the operation. */
export function cborProtocol(prefix: string): Protocol {
  const headers = { 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' };
  return {
    mediaType: 'application/cbor',
    errors: { kind: 'rpc-v2-cbor' },
    read(request) {
      if (request.headers['smithy-protocol'] !== 'rpc-v2-cbor') {
        throw serviceError('MalformedInput', 'The header Smithy-Protocol must be rpc-v2-cbor.');
      }
      return {
        operation: request.path.slice(prefix.length),
        input: (model) => decodeCbor(model, request.content),
      };
    },
    answer: (model, output) => ({ headers, body: encodeCbor(model, output) }),
  };
}

/** The API version that a form names, if it does; a look before it is read as a whole. */
export function versionOfForm(request: ReadRequest): string | undefined {
  const text =
    request.content.byteLength === 0 ? request.queryText : Buffer.from(request.content).toString('latin1');
  return /(?:^|&)Version=([\d-]{10})(?:&|$)/.exec(text)?.[1];
}

/**
 * The body's parameters, or the query's when there is no body. Never both: a query next to a body would be a second,
 * easily overlooked set.
 */
function parametersOf({ content, queryText }: ReadRequest, mostPairs: number): readonly Pair[] {
  return content.byteLength === 0 ? parseFormText(queryText, mostPairs) : parseForm(content, mostPairs);
}

function single(pairs: readonly Pair[], name: string): string | undefined {
  const values = pairs.filter(([key]) => key === name);
  if (values.length > 1)
    throw serviceError('MalformedInput', `The parameter ${name} is given more than once.`);
  return values[0]?.[1];
}

export function noOperation(operation: string, version: string | undefined, hint: string) {
  return serviceError(
    'InvalidAction',
    `Could not find operation ${operation.slice(0, 100)} for version ${(version ?? 'NO_VERSION_SPECIFIED').slice(0, 40)}.`,
    { hint },
  );
}
