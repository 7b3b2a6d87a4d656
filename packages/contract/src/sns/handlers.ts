/** The seam between the API server and the code behind topics. */
import type { Caller } from '../elasticache/handlers.ts';
import type { SnsInput, SnsOperationName, SnsOutput } from './model.ts';

/** As a handler of ElastiCache's operations: resolves with the modelled output, rejects with a `ServiceError`. */
export type SnsHandler<Op extends SnsOperationName> = (
  input: SnsInput<Op>,
  caller: Caller,
) => Promise<SnsOutput<Op>>;

/** An operation that is absent is answered honestly with `UnsupportedOperation`. */
export type SnsHandlers = { readonly [Op in SnsOperationName]?: SnsHandler<Op> };
