/** How long a process may be silent. Why these: docs/decisions/0010. */

/** Every engine is asked this often, from a thread of its own. */
export const probePeriodMs = 200;

/**
 * How long each kind of silence may last before the process counts as hung. Every kind must be seen in every sample
 * of the time, so they end at whole periods.
 */
export const silenceLimitMs = {
  /** Stopped by a signal, or by a debugger: it answers nothing until somebody else lets it go on. */
  stopped: 3 * probePeriodMs,
  /** Sleeps, uses no processor and has our question unread: a lock that nobody gives back. */
  idle: 5 * probePeriodMs,
  /** In the kernel, without end in sight: a disk that does not answer. Slow disks come back within this. */
  blocked: 10 * probePeriodMs,
  /** Uses its processor: a long command is no hang, and neither is an engine that gets no processor. */
  spinning: 30_000,
} as const;

/** A script that runs for so long is asked to end (SCRIPT KILL). One that has written can't: then the engine hangs. */
export const scriptLimitMs = 30_000;
/** A process whose data nobody else has is ended only after this, and not while it uses its processor. */
export const onlyCopyLimitMs = 60_000;

/** When the probing thread itself is this late, what it did not hear says nothing about engines. */
export const ownLagMs = 100;
/** And when it is this late, it was stopped, or the machine was: begin afresh. */
export const suspendedMs = 1_000;
/** How long after a beginning nothing counts as hung. */
export const settleMs = 1_000;
/** When more than half of at least so many engines are silent at once, it is the machine that is starved. */
export const fewestForStarvation = 4;
/** A process that used this much of its processor works. */
export const spinningShare = 0.1;
/** How long one attempt to end a process is waited for. A process that is blocked in the kernel may outlast it. */
export const killWaitMs = 250;
