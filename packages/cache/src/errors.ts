/**
 * Every error that the library itself throws. A loader's own error is passed on as it is; an error of the
 * shared tier never reaches a caller of `get`, `many` or `near`.
 */

/** Options that can't work. Thrown while constructing or defining, never later. `message` says what to do. */
export class CacheConfigError extends Error {
  override readonly name = 'CacheConfigError';
}

/** The loader didn't answer within `loads.timeoutMs`; its `signal` was aborted. */
export class LoadTimeoutError extends Error {
  override readonly name = 'LoadTimeoutError';
}

/**
 * Another process was loading the same key while this one waited for it, and its loader failed. `message` is that
 * loader's error, cut to 300 characters.
 */
export class LoadFailedElsewhereError extends Error {
  override readonly name = 'LoadFailedElsewhereError';
}

/** All `loads.maxConcurrent` places stayed taken for `loads.timeoutMs`, or the queue is full: shed this request. */
export class LoadQueueError extends Error {
  override readonly name = 'LoadQueueError';
}

/** A loader returned something the cache can't keep: not JSON, or refused by the definition's schema. */
export class CacheValueError extends Error {
  override readonly name = 'CacheValueError';
}

/**
 * `invalidate` could not reach the shared tier. This process no longer serves the old value; the invalidation
 * is kept and repeated until the shared tier confirms it.
 */
export class InvalidationPendingError extends Error {
  override readonly name = 'InvalidationPendingError';
}

/** The database can't feed the cache as configured. `message` holds the statement that repairs it. */
export class FeedConfigError extends Error {
  override readonly name = 'FeedConfigError';
}

/** A strict announcement could not be made: roll back, or commit and accept the cache's ordinary bound. */
export class AnnouncementError extends Error {
  override readonly name = 'AnnouncementError';
}

/** The cache was closed. */
export class CacheClosedError extends Error {
  override readonly name = 'CacheClosedError';
}

/**
 * Sessions, analytics or a structure needed the shared tier, and it was down, or refused: `cause` says how. Nothing
 * of what was stored is in the message.
 */
export class SharedTierError extends Error {
  override readonly name = 'SharedTierError';
}

/** A session that can't be kept: not JSON, or beyond `maxBytes`. The message holds no values. */
export class SessionValueError extends Error {
  override readonly name = 'SessionValueError';
}

/** Another rebuild of the same structure is under way; its mark lapses a minute after its process died. */
export class RebuildRunningError extends Error {
  override readonly name = 'RebuildRunningError';
}
