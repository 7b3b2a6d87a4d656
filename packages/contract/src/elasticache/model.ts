/**
 * ElastiCache's API, all 75 operations, as data and as types.
 *
 * Both come from the AWS SDK: its schemas drive the codecs, its types type the handlers. There is no shape written by
 * hand here, so there is none to drift.
 */
import * as sdk from '@aws-sdk/client-elasticache';
import {
  type ErrorShapeNames,
  type InputOf,
  type OperationModel,
  type OperationNames,
  type OutputOf,
  readServiceModel,
  type ServiceModel,
} from '../service-model.ts';

export type OperationName = OperationNames<typeof sdk>;

/** Shape names of the errors ElastiCache models, without the SDK's own base class. */
export type ModelledErrorName = Exclude<ErrorShapeNames<typeof sdk>, 'ElastiCacheServiceException'>;

export type Input<Op extends OperationName> = InputOf<typeof sdk, Op>;
export type Output<Op extends OperationName> = OutputOf<typeof sdk, Op>;

export const elastiCache: ServiceModel = readServiceModel(sdk, {
  apiVersion: '2015-02-02',
  signingName: 'elasticache',
  xmlNamespace: 'http://elasticache.amazonaws.com/doc/2015-02-02/',
  inputNumbers: 'int32',
});

export const operationNames: readonly OperationName[] = [...elastiCache.operations.keys()].filter(
  isOperationName,
);

export function isOperationName(name: string): name is OperationName {
  return elastiCache.operations.has(name);
}

export function operationModel(name: OperationName): OperationModel {
  const model = elastiCache.operations.get(name);
  // Unreachable while the type and the table come from the same module.
  if (model === undefined) throw new Error(`no model for ${name}`);
  return model;
}
