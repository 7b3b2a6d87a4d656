/** The seam between the API server and the code behind CloudWatch Logs' operations. */
import type { Caller } from '../elasticache/handlers.ts';
import type { LogsInput, LogsOperationName, LogsOutput } from './model.ts';

/** As a handler of ElastiCache's operations: resolves with the modelled output, rejects with a `ServiceError`. */
export type LogsHandler<Op extends LogsOperationName> = (
  input: LogsInput<Op>,
  caller: Caller,
) => Promise<LogsOutput<Op>>;

export type LogsHandlers = { readonly [Op in LogsOperationName]: LogsHandler<Op> };
