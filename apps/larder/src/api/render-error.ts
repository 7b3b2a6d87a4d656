/** The only place where an error becomes HTTP. */
import { type ErrorProtocol, encodeError } from '@larder/contract/codec/error-body';
import { isServiceError, type ServiceError, serviceError } from '@larder/contract/errors';

/** The shape of a pino logger, as much of it as the API needs. */
export interface Logger {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * Turns anything thrown into a response. A ServiceError is told as it is; anything else becomes `InternalFailure`
 * with nothing but the request id, and is logged under that id.
 */
export function renderError(
  thrown: unknown,
  requestId: string,
  protocol: ErrorProtocol,
  logger: Logger,
): Response {
  const error = toServiceError(thrown, requestId, logger);
  const { headers, body } = encodeError(error, requestId, protocol);
  const extra: Record<string, string> =
    // The rest of the body is still on its way; reading it to reuse the connection is what the bound prevents.
    error.error === 'RequestEntityTooLarge' ? { connection: 'close' } : {};
  return new Response(body, {
    status: error.httpStatus,
    headers: { ...headers, ...extra, 'x-amzn-requestid': requestId },
  });
}

function toServiceError(thrown: unknown, requestId: string, logger: Logger): ServiceError {
  if (isServiceError(thrown)) return thrown;
  logger.error({ requestId, err: thrown }, 'request failed with an unexpected error');
  return serviceError('InternalFailure', 'The request failed because of an internal error.', {
    hint: `The service's log has the details under request id ${requestId}.`,
  });
}
