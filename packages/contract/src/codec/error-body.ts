/** An error in the words of each protocol a client may have spoken. */
import { cbor } from '@smithy/core/cbor';
import { cloudWatch, cloudWatchShapes } from '../cloudwatch/model.ts';
import type { ServiceError } from '../errors.ts';
import { escapeXml } from './xml.ts';

export type ErrorProtocol =
  | { readonly kind: 'query'; readonly xmlNamespace: string }
  | { readonly kind: 'json-1.0' }
  | { readonly kind: 'json-1.1' }
  | { readonly kind: 'rpc-v2-cbor' };

export interface ErrorBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** The common errors' names where a service speaks JSON alone: SDKs know them by these. */
const JSON_NAMES: Readonly<Record<string, string>> = {
  AccessDenied: 'AccessDeniedException',
  IncompleteSignature: 'IncompleteSignatureException',
  InternalFailure: 'InternalServiceException',
  InvalidAction: 'UnknownOperationException',
  InvalidClientTokenId: 'UnrecognizedClientException',
  MalformedInput: 'SerializationException',
  MissingAuthenticationToken: 'MissingAuthenticationTokenException',
  RequestExpired: 'RequestExpiredException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  Throttling: 'ThrottlingException',
  ValidationError: 'ValidationException',
};

/** A modelled error goes by its shape, which is where clients find its class; a common one by its code. */
function shapeOf({ error, code }: ServiceError): string {
  return cloudWatch.errors.has(error) ? cloudWatchShapes + error : code;
}

/** Pure; the HTTP status is the error's own. */
export function encodeError(error: ServiceError, requestId: string, protocol: ErrorProtocol): ErrorBody {
  // No AWS protocol has a field for a hint, and no client would show it; as part of the message all do.
  const message = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  if (protocol.kind === 'query') {
    return {
      headers: { 'content-type': 'text/xml' },
      body:
        `<ErrorResponse xmlns="${escapeXml(protocol.xmlNamespace)}"><Error><Type>${error.fault}</Type>` +
        `<Code>${escapeXml(error.code)}</Code><Message>${escapeXml(message)}</Message></Error>` +
        `<RequestId>${escapeXml(requestId)}</RequestId></ErrorResponse>`,
    };
  }
  if (protocol.kind === 'json-1.1') {
    return {
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: JSON.stringify({ __type: JSON_NAMES[error.code] ?? error.code, message }),
    };
  }
  // Query-compatible clients take the code from this header and the shape from the body.
  const headers = { 'x-amzn-query-error': `${error.code};${error.fault}` };
  const fields = { __type: shapeOf(error), message };
  if (protocol.kind === 'json-1.0') {
    return {
      headers: { ...headers, 'content-type': 'application/x-amz-json-1.0' },
      body: JSON.stringify(fields),
    };
  }
  return {
    headers: { ...headers, 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' },
    body: new Uint8Array(cbor.serialize(fields)),
  };
}
