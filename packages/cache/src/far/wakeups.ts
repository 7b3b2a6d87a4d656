/**
 * Notices for reads that wait: their key was filled, released or invalidated; the watermark moved. A notice
 * arrives over another connection than the reply that tells a read to wait, so it may come first: a read
 * listens before it asks, and a notice that came meanwhile ends the wait at once.
 */

export interface Listening {
  /**
   * Ends at a notice since the last wait, or after `timeoutMs`.
   * @returns the error of `owner`'s load, if that is the notice.
   */
  keyChange(timeoutMs: number, owner?: string): Promise<string | undefined>;
  visibility(timeoutMs: number): Promise<void>;
  close(): void;
}

/** One listener's memory of one kind of notice. */
interface Ear {
  rung: boolean;
  /** Errors of loads that failed, by the owner of their lease. */
  failures: Map<string, string> | undefined;
  wake: (() => void) | undefined;
}

export class Wakeups {
  readonly #byKey = new Map<string, Set<Ear>>();
  readonly #forVisibility = new Set<Ear>();

  listen(key: string): Listening {
    const keyEar: Ear = { rung: false, failures: undefined, wake: undefined };
    const visibilityEar: Ear = { rung: false, failures: undefined, wake: undefined };
    const ears = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, ears);
    ears.add(keyEar);
    this.#forVisibility.add(visibilityEar);
    return {
      async keyChange(timeoutMs, owner) {
        await wait(keyEar, timeoutMs);
        return owner === undefined ? undefined : keyEar.failures?.get(owner);
      },
      visibility: (timeoutMs) => wait(visibilityEar, timeoutMs),
      close: () => {
        ears.delete(keyEar);
        if (ears.size === 0 && this.#byKey.get(key) === ears) this.#byKey.delete(key);
        this.#forVisibility.delete(visibilityEar);
      },
    };
  }

  keyChanged(key: string): void {
    const ears = this.#byKey.get(key);
    if (ears !== undefined) for (const ear of ears) ring(ear);
  }

  loadFailed(key: string, owner: string, message: string): void {
    for (const ear of this.#byKey.get(key) ?? []) {
      ear.failures ??= new Map();
      ear.failures.set(owner, message);
      ring(ear);
    }
  }

  becameVisible(): void {
    for (const ear of this.#forVisibility) ring(ear);
  }

  /** Nothing more will be heard: everybody looks for themselves. */
  all(): void {
    for (const ears of this.#byKey.values()) for (const ear of ears) ring(ear);
    this.becameVisible();
  }
}

function ring(ear: Ear): void {
  ear.rung = true;
  ear.wake?.();
}

function wait(ear: Ear, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      ear.wake = undefined;
      ear.rung = false;
      resolve();
    };
    const timer = setTimeout(end, timeoutMs);
    ear.wake = end;
    if (ear.rung) end();
  });
}
