/** From what a request asks to a handler, and its output. Knows nothing of HTTP, and of protocols only their seam. */
import type { Caller } from '@larder/contract/elasticache/handlers';
import { serviceError } from '@larder/contract/errors';
import type { OperationModel } from '@larder/contract/service-model';
import { type Asked, noOperation } from './protocol.ts';

/** A service that is served at this address. */
export interface Service {
  /** As people call it. */
  readonly title: string;
  readonly apiVersion: string;
  /** The service part of the scope that requests are signed for. */
  readonly signingName: string;
  readonly takesCompressed: boolean;
  readonly operations: ReadonlyMap<string, OperationModel>;
  /** By operation. One that is absent has no effect here, and says so. */
  readonly handlers: ReadonlyMap<string, AnyHandler>;
}

type AnyHandler = (input: object, caller: Caller) => Promise<unknown>;

/**
 * A table of handlers as a map that names of operations are looked up in. The table ties each handler to its own input
 * type; by name alone the compiler can't follow. The decoder builds exactly that input from the same model the types are
 * generated from.
 */
export function handlerMap(handlers: object): ReadonlyMap<string, AnyHandler> {
  return new Map(Object.entries(handlers as Record<string, AnyHandler>));
}

/** @throws ServiceError InvalidAction for an operation that the service does not have. */
export function operationOf(
  { title, apiVersion, operations }: Service,
  { operation }: Asked,
): OperationModel {
  const model = operations.get(operation);
  if (model !== undefined) return model;
  throw noOperation(operation, apiVersion, `It is none of the operations of ${title} that are known here.`);
}

/**
 * Decodes the input and lets the operation's handler act on it.
 *
 * Every operation is decoded and checked, also those without a handler: a client learns about its own mistakes
 * before it learns what is missing here.
 *
 * @throws ServiceError from the decoder or the handler; UnsupportedOperation without a handler.
 */
export async function dispatch(
  { handlers }: Service,
  model: OperationModel,
  asked: Asked,
  caller: Caller,
): Promise<unknown> {
  const input = asked.input(model);
  const handler = handlers.get(model.name);
  if (handler === undefined) throw noEffectYet(model.name);
  return handler(input, caller);
}

/**
 * The answer for an operation that is understood but does nothing here. It is never a pretended success.
 *
 * Status 400, not 501: SDKs retry what begins with a 5 for a minute before they tell anyone. Not `InvalidAction`,
 * which says the operation does not exist. `UnsupportedOperation` is AWS's own code for "this service, this
 * operation, not supported"; SDKs throw it at once, with this message, under that name.
 */
function noEffectYet(operation: string) {
  return serviceError('UnsupportedOperation', `Larder decodes ${operation} but has no effect for it yet.`);
}
