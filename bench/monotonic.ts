/** One clock for all processes of this machine. */

/**
 * performance.now() counts the same clock from the start of the process, at a third of the price. Between two
 * looks the process may be put aside for milliseconds, so the tightest of many pairs of looks counts.
 */
const offsetMs = (() => {
  let tightestMs = Number.POSITIVE_INFINITY;
  let offset = 0;
  for (let count = 0; count < 50; count += 1) {
    const before = performance.now();
    const machineMs = Number(process.hrtime.bigint()) / 1e6;
    const after = performance.now();
    if (after - before >= tightestMs) continue;
    tightestMs = after - before;
    offset = machineMs - (before + after) / 2;
  }
  return offset;
})();

/** Milliseconds of the machine's monotonic clock; comparable between processes to some microseconds. */
export function nowMs(): number {
  return performance.now() + offsetMs;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
