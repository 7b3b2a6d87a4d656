/** The raw request, read within bounds. What HTTP allows and this API does not ends here. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { MAX_BODY_BYTES } from '@larder/contract/codec/form';
import { serviceError } from '@larder/contract/errors';
import type { SignedRequest } from '@larder/contract/sigv4';

/** A compressed body may be this long when it is unpacked. */
export const MAX_UNPACKED_BYTES = 4 * 1024 * 1024;

export interface ReadRequest extends SignedRequest {
  /** The body, unpacked when it came compressed. `body` is what was sent, and signed. */
  readonly content: Uint8Array;
}

const unpack = promisify(gunzip);

/**
 * Reads method, path, query, headers and the whole body.
 *
 * The body is counted while it arrives: a request that declares or sends more than MAX_BODY_BYTES is refused at that
 * byte, and the rest is never read. Unpacking ends at MAX_UNPACKED_BYTES.
 *
 * @param bodyType the only media type that a body may have.
 * @throws ServiceError RequestEntityTooLarge, UnsupportedMediaType, MalformedInput
 */
export async function readRequest(request: Request, bodyType: string): Promise<ReadRequest> {
  const headers = Object.fromEntries(request.headers);
  const body = await readBody(request);
  const url = new URL(request.url);
  return {
    method: request.method,
    path: url.pathname,
    queryText: url.search.slice(1),
    headers,
    body,
    // A presigned POST carries its parameters in the query, and nothing that could have a type.
    content: body.byteLength === 0 ? body : await readContent(headers, body, bodyType),
  };
}

/** @throws ServiceError UnsupportedMediaType */
export function refuseCompressed({ headers, body }: ReadRequest): void {
  if (body.byteLength > 0 && encodingOf(headers) !== 'identity') {
    throw serviceError('UnsupportedMediaType', 'A request body must not be compressed.');
  }
}

function encodingOf(headers: Readonly<Record<string, string>>): string {
  return (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
}

async function readContent(
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  bodyType: string,
): Promise<Uint8Array> {
  const mediaType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (mediaType !== bodyType) {
    throw serviceError('UnsupportedMediaType', `The Content-Type of a request must be ${bodyType}.`);
  }
  const encoding = encodingOf(headers);
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip') {
    throw serviceError('UnsupportedMediaType', 'The Content-Encoding of a request can only be gzip.');
  }
  try {
    return await unpack(body, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw serviceError(
        'RequestEntityTooLarge',
        `A compressed request body can have up to ${MAX_UNPACKED_BYTES} bytes when it is unpacked.`,
      );
    }
    throw serviceError('MalformedInput', 'The request body is not valid gzip.', { cause });
  }
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
