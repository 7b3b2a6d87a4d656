/** One repetition: traffic, a fault, healing, and what became of every acknowledged write. */
import { nowMs, sleep } from '../../bench/monotonic.ts';
import { waitFor } from '../../testing/wait-for.ts';
import type { History } from './history.ts';
import { primaryOf } from './node-look.ts';
import type { Fault, Injected, Stage } from './stage.ts';
import { startWatch, type Watch } from './watch.ts';

export interface Course {
  /** Whether another node is to take the writes over. */
  readonly expectsSuccessor: boolean;
  /** How long the fault is in effect at least. */
  readonly leastMs: number;
  /** How long traffic goes on after the fault was undone. */
  readonly lingerMs: number;
  /** When healing is given up. */
  readonly limitMs: number;
  /** All must be whole again before the end; else that is the last thing that happens on this stage. */
  readonly endsWhole: boolean;
  readonly writesPerSecond: number;
}

export const usualCourse: Course = {
  expectsSuccessor: true,
  leastMs: 500,
  lingerMs: 300,
  limitMs: 30_000,
  endsWhole: true,
  writesPerSecond: 500,
};

export interface Repetition {
  readonly history: History;
  readonly saw: Readonly<Record<string, number>>;
}

/** Writes before the fault. */
const warmUpWrites = 300;
/** So long acknowledgements must have come without a break before the fault counts as healed. */
const steadyMs = 300;

export async function repeatOnce<S extends Stage>(
  stage: S,
  fault: Fault<S>,
  course: Course,
): Promise<Repetition> {
  await stage.whole();
  const primary = await primaryOf(stage);
  const watch = await startWatch(stage, primary, course.writesPerSecond);
  let injected: Injected | undefined;
  try {
    await waitFor(
      () => watch.progress(),
      ({ acknowledged }) => acknowledged >= warmUpWrites,
      { what: `${warmUpWrites} writes` },
    );
    const orderedMs = nowMs();
    injected = await fault.inject(stage, primary);
    const faultMs = injected.atMs ?? orderedMs;
    await healed(watch, faultMs, course);
    const saw = (await injected.saw?.()) ?? {};
    const beside = (injected.besideAckedMs?.() ?? []).filter((atMs) => atMs > faultMs);
    const { undo } = injected;
    injected = undefined;
    await undo();
    if (course.endsWhole) await stage.whole();
    await sleep(course.lingerMs);
    return { history: await watch.end(faultMs, beside), saw };
  } finally {
    await injected?.undo();
    await watch.close();
  }
}

async function healed(
  watch: Watch,
  faultMs: number,
  { expectsSuccessor, leastMs, limitMs }: Course,
): Promise<void> {
  let brokenUntilMs = faultMs;
  let lastAckMs = 0;
  await waitFor(
    async () => {
      const progress = await watch.progress();
      const now = nowMs();
      // An acknowledgement that is older than this, and the break has not ended.
      if (now - progress.lastAckMs > 100) brokenUntilMs = now;
      lastAckMs = progress.lastAckMs;
      const successor = expectsSuccessor ? await watch.successor(faultMs) : 'none is expected';
      return { sinceFaultMs: now - faultMs, steadyForMs: lastAckMs - brokenUntilMs, successor };
    },
    ({ sinceFaultMs, steadyForMs, successor }) =>
      sinceFaultMs >= leastMs && steadyForMs >= steadyMs && successor !== undefined,
    { what: 'writes to go on', limitMs },
  );
}
