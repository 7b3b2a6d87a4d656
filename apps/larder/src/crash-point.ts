/**
 * For tests: ends the service as `kill -9` would, right before or right after the nth thing it does to the outside
 * world. So every moment between two of them can be tried.
 */
export interface CrashPoint {
  readonly when: 'before' | 'after';
  /** From 1. */
  readonly effect: number;
}

/** Reads `before:3`; undefined for anything else. */
export function parseCrashPoint(text: string | undefined): CrashPoint | undefined {
  const match = /^(before|after):([1-9]\d{0,3})$/.exec(text ?? '');
  if (match === null) return undefined;
  return { when: match[1] as CrashPoint['when'], effect: Number(match[2]) };
}

export type CrashingAt = <T extends object>(target: T, looksOnly: readonly (keyof T)[]) => T;

/** Counts over everything that it was put around. */
export function crashingAt(point: CrashPoint | undefined, crash: () => void): CrashingAt {
  if (point === undefined) return (target) => target;
  let count = 0;
  return (target, looksOnly) =>
    new Proxy(target, {
      get(object, name, receiver) {
        const member: unknown = Reflect.get(object, name, receiver);
        if (typeof member !== 'function' || looksOnly.includes(name as keyof typeof target)) return member;
        return async (...args: unknown[]) => {
          count += 1;
          const mine = count;
          if (point.when === 'before' && mine === point.effect) crash();
          const result: unknown = await Reflect.apply(member, object, args);
          if (point.when === 'after' && mine === point.effect) crash();
          return result;
        };
      },
    });
}
