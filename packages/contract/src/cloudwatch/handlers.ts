/** The seam between the API server and the code behind CloudWatch's operations. */
import type { Caller } from '../elasticache/handlers.ts';
import type { CloudWatchInput, CloudWatchOperationName, CloudWatchOutput } from './model.ts';

/** As a handler of ElastiCache's operations: resolves with the modelled output, rejects with a `ServiceError`. */
export type CloudWatchHandler<Op extends CloudWatchOperationName> = (
  input: CloudWatchInput<Op>,
  caller: Caller,
) => Promise<CloudWatchOutput<Op>>;

/** An operation that is absent is answered honestly with `UnsupportedOperation`. */
export type CloudWatchHandlers = { readonly [Op in CloudWatchOperationName]?: CloudWatchHandler<Op> };
