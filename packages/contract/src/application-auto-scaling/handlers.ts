/** The seam between the API server and the code that scales. */
import type { Caller } from '../elasticache/handlers.ts';
import type { ScalingInput, ScalingOperationName, ScalingOutput } from './model.ts';

/** As a handler of ElastiCache's operations: resolves with the modelled output, rejects with a `ServiceError`. */
export type ScalingHandler<Op extends ScalingOperationName> = (
  input: ScalingInput<Op>,
  caller: Caller,
) => Promise<ScalingOutput<Op>>;

export type ScalingHandlers = { readonly [Op in ScalingOperationName]: ScalingHandler<Op> };
