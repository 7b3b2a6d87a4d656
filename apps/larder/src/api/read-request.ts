/** The raw request, read within bounds. What HTTP allows and this API does not ends here. */
import { MAX_BODY_BYTES } from '@larder/contract/codec/form';
import { serviceError } from '@larder/contract/errors';
import type { SignedRequest } from '@larder/contract/sigv4';

export const FORM_TYPE = 'application/x-www-form-urlencoded';
export const JSON_TYPE = 'application/x-amz-json-1.1';

/**
 * Reads method, path, query, headers and the whole body.
 *
 * The body is counted while it arrives: a request that declares or sends more than MAX_BODY_BYTES is refused at that
 * byte, and the rest is never read.
 *
 * @param bodyType the only media type that a body may have.
 * @throws ServiceError RequestEntityTooLarge, UnsupportedMediaType
 */
export async function readRequest(request: Request, bodyType = FORM_TYPE): Promise<SignedRequest> {
  const headers = Object.fromEntries(request.headers);
  const body = await readBody(request);
  // A presigned POST carries its parameters in the query, and nothing that could have a type.
  if (body.byteLength > 0) checkContentType(headers, bodyType);
  const url = new URL(request.url);
  return {
    method: request.method,
    path: url.pathname,
    queryText: url.search.slice(1),
    headers,
    body,
  };
}

function checkContentType(headers: Readonly<Record<string, string>>, bodyType: string): void {
  const mediaType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (mediaType !== bodyType) {
    throw serviceError('UnsupportedMediaType', `The Content-Type of a request must be ${bodyType}.`);
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw serviceError('UnsupportedMediaType', 'A request body must not be compressed.');
}

async function readBody(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      // The client hung up: its doing, and no failure of the service.
      throw serviceError('MalformedInput', 'The request ended before its body was complete.', { cause });
    });
    if (done) return Buffer.concat(chunks, sizeBytes);
    sizeBytes += value.byteLength;
    if (sizeBytes > MAX_BODY_BYTES) {
      // Not awaited: a sender that never stops must not hold the answer back.
      reader.cancel().catch(() => undefined);
      throw tooLarge();
    }
    chunks.push(value);
  }
}

function tooLarge() {
  return serviceError('RequestEntityTooLarge', `A request body can have up to ${MAX_BODY_BYTES} bytes.`);
}
