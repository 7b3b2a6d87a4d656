/** Acts so often a second, by the clock: a timer that comes late is made up for, up to a point. */

const tickMs = 2;
/** After a longer break it goes on at its pace instead of catching up at once. */
const mostAtOnce = 20;

/** Returns the way to stop. */
export function atPace(perSecond: number, act: () => void): () => void {
  const everyMs = 1_000 / perSecond;
  let nextMs = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    nextMs = Math.max(nextMs, now - mostAtOnce * everyMs);
    for (; nextMs <= now; nextMs += everyMs) act();
  }, tickMs);
  return () => clearInterval(timer);
}
