/**
 * CloudWatch's API, all its operations, as data and as types; from the AWS SDK, as ElastiCache's. Its clients speak three
 * protocols: RPC v2 over CBOR, JSON 1.0 and query.
 */
import * as sdk from '@aws-sdk/client-cloudwatch';
import {
  type ErrorShapeNames,
  type InputOf,
  type OperationNames,
  type OutputOf,
  readServiceModel,
  type ServiceModel,
} from '../service-model.ts';

export type CloudWatchOperationName = OperationNames<typeof sdk>;
/** Shape names of the errors CloudWatch models, without the SDK's own base class. */
export type CloudWatchErrorName = Exclude<ErrorShapeNames<typeof sdk>, 'CloudWatchServiceException'>;
export type CloudWatchInput<Op extends CloudWatchOperationName> = InputOf<typeof sdk, Op>;
export type CloudWatchOutput<Op extends CloudWatchOperationName> = OutputOf<typeof sdk, Op>;

export const cloudWatch: ServiceModel = readServiceModel(sdk, {
  apiVersion: '2010-08-01',
  signingName: 'monitoring',
  xmlNamespace: 'http://monitoring.amazonaws.com/doc/2010-08-01/',
  inputNumbers: 'double',
});

/** What requests name the service by: `X-Amz-Target: ….ListMetrics`, or `/service/…/operation/ListMetrics`. */
export const cloudWatchTarget = 'GraniteServiceVersion20100801';
/** What stands before a shape's name in an error's `__type`. */
export const cloudWatchShapes = 'com.amazonaws.cloudwatch#';

export const cloudWatchOperationNames: readonly CloudWatchOperationName[] = [
  ...cloudWatch.operations.keys(),
].filter(isCloudWatchOperationName);

export function isCloudWatchOperationName(name: string): name is CloudWatchOperationName {
  return cloudWatch.operations.has(name);
}
