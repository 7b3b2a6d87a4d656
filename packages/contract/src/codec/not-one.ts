import { type ServiceError, serviceError } from '../errors.ts';
import type { StructureShape } from '../service-model.ts';

/** What a union is refused with that has none of its members, or several. @param path where it is in the request. */
export function notOne(shape: StructureShape, path: string): ServiceError {
  const members = [...shape.members.keys()].join(', ');
  return serviceError('ValidationError', `${path} must have exactly one of ${members}.`);
}
