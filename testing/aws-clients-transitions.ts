/** How infrastructure tools wait: they know which states may be seen on the way, and give up at any other. */
import { waitFor } from './wait-for.ts';

export interface Transition<T> {
  readonly look: () => Promise<T>;
  /** `undefined`: it is not there. */
  readonly state: (seen: T | undefined) => string | undefined;
  /** What an error of `look` means that is no failure: the thing is gone. */
  readonly notFound?: string;
  readonly pending: readonly string[];
  /** The last state; `undefined` for gone. */
  readonly target: string | undefined;
}

/**
 * Looks until the target is reached.
 * @returns what was last seen, and every state on the way, each once.
 * @throws when a state was seen that the tool does not know: it would have failed there.
 */
export async function transition<T>(
  wanted: Transition<T>,
): Promise<{ readonly seen: T | undefined; readonly states: string[] }> {
  const { look, state, notFound, pending, target } = wanted;
  const states = new Set<string>();
  const end = await waitFor(
    async () => {
      const seen = await look().catch((error: Error) => {
        if (error.name === notFound) return undefined;
        throw error;
      });
      const now = state(seen);
      if (now !== undefined) states.add(now);
      const known = now === target || (now !== undefined && pending.includes(now));
      return { seen, now, known };
    },
    ({ now, known }) => now === target || !known,
    { what: `the state ${target ?? 'gone'}`, limitMs: 60_000 },
  );
  if (!end.known) {
    throw new Error(
      `unexpected state '${end.now ?? 'gone'}', wanted target '${target ?? 'gone'}'; known: ${pending.join(', ')}`,
    );
  }
  return { seen: end.seen, states: [...states] };
}
