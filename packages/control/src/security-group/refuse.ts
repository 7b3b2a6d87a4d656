/**
 * Cache security groups belong to EC2-Classic, which is no more. All five operations answer as ElastiCache does for an
 * account without it; there are none to list.
 */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { readPage } from '../request/page.ts';

/** @throws ServiceError InvalidParameterValue, always. */
export async function refuseSecurityGroups(): Promise<never> {
  throw serviceError(
    'InvalidParameterValueException',
    'Use of cache security groups is not permitted in this API version for your account.',
  );
}

/** @throws ServiceError CacheSecurityGroupNotFound for any name. */
export async function describeSecurityGroups(
  input: Input<'DescribeCacheSecurityGroups'>,
): Promise<Output<'DescribeCacheSecurityGroups'>> {
  if (input.CacheSecurityGroupName !== undefined) {
    const name = input.CacheSecurityGroupName.slice(0, 255);
    throw serviceError('CacheSecurityGroupNotFoundFault', `CacheSecurityGroup ${name} not found.`);
  }
  readPage(input);
  return { CacheSecurityGroups: [] };
}
