/**
 * ElastiCache's API, all 75 operations, as data and as types.
 *
 * Both come from the AWS SDK: its schemas drive the codecs, its types type the handlers. There is no shape written by
 * hand here, so there is none to drift.
 */
import * as sdk from '@aws-sdk/client-elasticache';
import {
  type ErrorShapeNames,
  type OperationModel,
  type OperationNames,
  readServiceModel,
  type ServiceModel,
} from '../service-model.ts';

export type OperationName = OperationNames<typeof sdk>;

/** Shape names of the errors ElastiCache models, without the SDK's own base class. */
export type ModelledErrorName = Exclude<ErrorShapeNames<typeof sdk>, 'ElastiCacheServiceException'>;

/** What a handler receives: decoded, of the modelled types, every required member present. */
export type Input<Op extends OperationName> = Present<CommandTypes<Op>['input']>;

/** What a handler returns: the SDK's result type without the client's metadata. */
export type Output<Op extends OperationName> = Omit<CommandTypes<Op>['output'], '$metadata'>;

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

type CommandTypes<Op extends OperationName> = (typeof sdk)[`${Op}Command`] extends new (
  ...args: never[]
) => { resolveMiddleware(...args: never[]): (...args: never[]) => Promise<{ output: infer Result }> } & {
  input: infer Request;
}
  ? { input: Request; output: Result }
  : never;

/**
 * The SDK types a required member as `string | undefined`, because a client may not have validated it. The decoder
 * has, so the `undefined` goes; optional members stay optional.
 */
type Present<T> = T extends Date
  ? T
  : T extends readonly (infer Item)[]
    ? Present<Item>[]
    : T extends object
      ? {
          [Key in keyof T]: undefined extends T[Key]
            ? object extends Pick<T, Key>
              ? Present<T[Key]>
              : Present<Exclude<T[Key], undefined>>
            : Present<T[Key]>;
        }
      : T;
