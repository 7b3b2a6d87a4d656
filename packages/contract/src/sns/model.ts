/** Simple Notification Service's API as data and as types; from the AWS SDK, as ElastiCache's. Of its operations a part has effects. */
import * as sdk from '@aws-sdk/client-sns';
import {
  type InputOf,
  type OperationNames,
  type OutputOf,
  readServiceModel,
  type ServiceModel,
} from '../service-model.ts';

export type SnsOperationName = OperationNames<typeof sdk>;
export type SnsInput<Op extends SnsOperationName> = InputOf<typeof sdk, Op>;
export type SnsOutput<Op extends SnsOperationName> = OutputOf<typeof sdk, Op>;

export const sns: ServiceModel = readServiceModel(sdk, {
  apiVersion: '2010-03-31',
  signingName: 'sns',
  xmlNamespace: 'http://sns.amazonaws.com/doc/2010-03-31/',
  inputNumbers: 'int32',
});

/**
 * The errors that are answered: code -> HTTP status. By their codes and not their shapes, some of which ElastiCache and
 * CloudWatch have as well, with other statuses.
 */
export const snsErrors = {
  InvalidParameter: 400,
  NotFound: 404,
  SubscriptionLimitExceeded: 403,
  Throttled: 429,
  TopicLimitExceeded: 403,
} as const;

export type SnsErrorName = keyof typeof snsErrors;
