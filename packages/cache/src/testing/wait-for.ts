/** For tests: waits on a condition, and says what it last saw when it never came. */

export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  { timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {},
): Promise<NonNullable<T>> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen as NonNullable<T>;
    if (performance.now() > until)
      throw new Error(`Waited ${timeoutMs} ms for: ${what}. Last seen: ${String(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A promise with its handles outside. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
