/** As `dispatch.ts`, for Application Auto Scaling: JSON in, JSON out. */
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import {
  applicationAutoScaling,
  isScalingOperationName,
  type ScalingOperationName,
  scalingOperationModel,
} from '@larder/contract/application-auto-scaling/model';
import { decodeJson, encodeJson } from '@larder/contract/codec/json';
import type { Caller } from '@larder/contract/elasticache/handlers';
import { serviceError } from '@larder/contract/errors';

/** @throws ServiceError InvalidAction for an operation that is not one of those that scale ElastiCache. */
export function readScalingAction(target: string): ScalingOperationName {
  const operation = target.slice(applicationAutoScaling.targetPrefix.length);
  if (isScalingOperationName(operation)) return operation;
  throw serviceError(
    'InvalidAction',
    `Application Auto Scaling's operation ${operation.slice(0, 100)} is not served here.`,
  );
}

/** @throws ServiceError from the decoder or the handler. */
export async function dispatchScaling(
  handlers: ScalingHandlers,
  operation: ScalingOperationName,
  body: Uint8Array,
  caller: Caller,
): Promise<string> {
  const model = scalingOperationModel(operation);
  const input = decodeJson(model, body);
  // By name alone the compiler can't follow; the decoder has built this input from the model its type is derived from.
  const handler = handlers[operation] as (input: object, caller: Caller) => Promise<unknown>;
  return encodeJson(model, await handler(input, caller));
}
