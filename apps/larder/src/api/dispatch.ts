/** From a request's parameters to a handler and back to XML. Knows nothing of HTTP. */
import type { Pair } from '@larder/contract/codec/form';
import { decodeQuery } from '@larder/contract/codec/query';
import { encodeResponse } from '@larder/contract/codec/xml';
import type { Caller, Handlers } from '@larder/contract/elasticache/handlers';
import {
  elastiCache,
  isOperationName,
  type OperationName,
  operationModel,
} from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';

const CLOUDWATCH_API_VERSION = '2010-08-01';

export interface Action {
  readonly operation: OperationName;
  readonly pairs: readonly Pair[];
}

/**
 * Reads which operation the parameters ask for.
 *
 * @throws ServiceError MissingAction, InvalidAction (no such operation in this API version), MalformedInput for
 *   `Action` or `Version` given twice, UnsupportedOperation for CloudWatch's version.
 */
export function readAction(pairs: readonly Pair[]): Action {
  const action = single(pairs, 'Action');
  const version = single(pairs, 'Version');
  if (version === CLOUDWATCH_API_VERSION) throw cloudWatchNotServed();
  if (action === undefined) throw serviceError('MissingAction', 'The request has no Action parameter.');
  if (version !== elastiCache.apiVersion || !isOperationName(action)) {
    throw serviceError(
      'InvalidAction',
      `Could not find operation ${action.slice(0, 100)} for version ${(version ?? 'NO_VERSION_SPECIFIED').slice(0, 40)}.`,
      { hint: `This service speaks ElastiCache's API version ${elastiCache.apiVersion}.` },
    );
  }
  return { operation: action, pairs };
}

function single(pairs: readonly Pair[], name: string): string | undefined {
  const values = pairs.filter(([key]) => key === name);
  if (values.length > 1)
    throw serviceError('MalformedInput', `The parameter ${name} is given more than once.`);
  return values[0]?.[1];
}

/**
 * Decodes the input, lets the operation's handler act on it, and encodes what it returns.
 *
 * Every operation is decoded and checked, also those without a handler: a client learns about its own mistakes
 * before it learns what is missing here.
 *
 * @returns the response's XML.
 * @throws ServiceError from the decoder or the handler; UnsupportedOperation without a handler.
 */
export async function dispatch(handlers: Handlers, action: Action, caller: Caller): Promise<string> {
  const model = operationModel(action.operation);
  const input = decodeQuery(model, action.pairs, elastiCache.inputNumbers);
  // The table ties each handler to its own input type; by name alone the compiler can't follow. The decoder has
  // just built exactly that input from the same model the types are generated from.
  const handler = handlers[action.operation] as
    | ((input: object, caller: Caller) => Promise<unknown>)
    | undefined;
  if (handler === undefined) throw noEffectYet(action.operation);
  const output = await handler(input, caller);
  return encodeResponse(model, output, caller.requestId, elastiCache.xmlNamespace);
}

/**
 * The answer for an operation that is understood but does nothing here. It is never a pretended success.
 *
 * Status 400, not 501: SDKs retry what begins with a 5 for a minute before they tell anyone. Not `InvalidAction`,
 * which says the operation does not exist. `UnsupportedOperation` is AWS's own code for "this service, this
 * operation, not supported"; SDKs throw it at once, with this message, under that name.
 */
function noEffectYet(operation: OperationName) {
  return serviceError('UnsupportedOperation', `Larder decodes ${operation} but has no effect for it yet.`);
}

/** As noEffectYet, for the other service whose requests arrive at the same address. */
export function cloudWatchNotServed() {
  return serviceError('UnsupportedOperation', 'CloudWatch is not served here yet.', {
    hint: 'Point the CloudWatch client at another endpoint.',
  });
}
