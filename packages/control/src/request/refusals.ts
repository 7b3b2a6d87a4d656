/** (pure) The two refusals that most requests know. */
import { type ServiceError, serviceError } from '@larder/contract/errors';

/** @param message what is wrong together, and what to do instead. */
export function invalidCombination(message: string): ServiceError {
  return serviceError('InvalidParameterCombinationException', message);
}

/** @param message what is wrong with it, and what it may be. */
export function invalidValue(message: string): ServiceError {
  return serviceError('InvalidParameterValueException', message);
}
