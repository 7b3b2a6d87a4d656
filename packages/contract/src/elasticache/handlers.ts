/** The seam between the API server and the code that has the effects. */
import type { Input, OperationName, Output } from './model.ts';

/** Who asks, as far as the server could prove it. */
export interface Caller {
  /** The same id the client gets in `x-amzn-RequestId`. */
  readonly requestId: string;
  /** Absent when the server runs without authentication. */
  readonly accessKeyId: string | undefined;
  readonly accountId: string;
  readonly region: string;
}

/**
 * Carries out one decoded, shape-checked request.
 *
 * Resolves with the modelled output. Rejects with a `ServiceError` for anything the client should know; any other
 * rejection reaches the client as `InternalFailure` without its message.
 */
export type Handler<Op extends OperationName> = (input: Input<Op>, caller: Caller) => Promise<Output<Op>>;

/** An operation that is absent is answered honestly with `UnsupportedOperation`. */
export type Handlers = { readonly [Op in OperationName]?: Handler<Op> };
