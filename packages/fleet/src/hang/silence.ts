/** (pure) Which of the engines that are asked now and then are hung, by what was heard and what the kernel says. */
import type { Hang } from '../host.ts';
import {
  fewestForStarvation,
  ownLagMs,
  probePeriodMs,
  settleMs,
  silenceLimitMs,
  spinningShare,
  suspendedMs,
} from './limits.ts';

/** The main thread of a process, as the kernel has it. */
export interface Sample {
  readonly atMs: number;
  /** `R`, `S`, `D`, `T`, ... */
  readonly state: string;
  readonly cpuMs: number;
}

export interface Look {
  readonly nodeId: string;
  /** When the question was sent that has no answer yet. */
  readonly unansweredSinceMs: number | undefined;
  /** Its connection was answered before: else it may merely not be taken up yet. */
  readonly proven: boolean;
  /** Its main thread is the one that answers. */
  readonly singleThreaded: boolean;
  /** Only of one that is silent; missing when it is gone. */
  readonly sample?: Sample;
  /** It runs a script that can't be ended, since then. */
  readonly unkillableSinceMs?: number;
}

const mostSamples = silenceLimitMs.blocked / probePeriodMs + 1;

export interface Silences {
  /** To be called once a period, with every engine. @returns node id -> how it hangs. */
  round(nowMs: number, looks: readonly Look[]): ReadonlyMap<string, Hang>;
}

export function silences(startMs: number): Silences {
  let samples = new Map<string, readonly Sample[]>();
  let lastRoundMs = startMs;
  /** Silence is counted from here on at the earliest. */
  let begunMs = startMs;
  /** What was not heard before this may be our own fault. Of a process that is stopped it can't be. */
  let trustedFromMs = startMs;

  function doubt(nowMs: number): void {
    trustedFromMs = nowMs;
    samples = new Map([...samples].map(([nodeId, each]) => [nodeId, each.filter(isStopped)]));
  }

  return {
    round(nowMs, looks) {
      const lateMs = nowMs - lastRoundMs - probePeriodMs;
      lastRoundMs = nowMs;
      if (lateMs > suspendedMs) {
        begunMs = nowMs;
        trustedFromMs = nowMs;
        samples = new Map();
      } else if (lateMs > ownLagMs) doubt(nowMs);

      const silent = looks.filter(
        ({ unansweredSinceMs: since, sample }) =>
          since !== undefined && sample !== undefined && reaches(nowMs - since, probePeriodMs),
      );
      samples = new Map(
        silent.map(({ nodeId, sample }) => [
          nodeId,
          [...(samples.get(nodeId) ?? []), sample!].slice(-mostSamples),
        ]),
      );
      const starved =
        looks.length >= fewestForStarvation &&
        silent.filter(({ sample }) => !isStopped(sample!)).length > looks.length / 2;
      if (starved) doubt(nowMs);

      const hung = new Map<string, Hang>();
      if (nowMs - begunMs < settleMs) return hung;
      for (const look of looks) {
        const { nodeId, unansweredSinceMs = nowMs, unkillableSinceMs } = look;
        const silentMs = Math.round(nowMs - Math.max(unkillableSinceMs ?? unansweredSinceMs, begunMs));
        const trustedMs = Math.min(silentMs, nowMs - trustedFromMs);
        const how =
          unkillableSinceMs === undefined
            ? howItHangs(look, samples.get(nodeId) ?? [], silentMs, trustedMs, starved)
            : 'spinning';
        if (how !== undefined) hung.set(nodeId, { how, silentMs });
      }
      return hung;
    },
  };
}

function howItHangs(
  { proven, singleThreaded }: Look,
  samples: readonly Sample[],
  silentMs: number,
  trustedMs: number,
  starved: boolean,
): Hang['how'] | undefined {
  const { stopped, idle, blocked, spinning } = silenceLimitMs;
  const throughout = (limitMs: number, is: (some: readonly Sample[]) => boolean) => {
    const some = samples.slice(-(limitMs / probePeriodMs));
    return some.length >= limitMs / probePeriodMs && is(some);
  };
  if (reaches(silentMs, stopped) && throughout(stopped, (some) => some.every(isStopped))) return 'stopped';
  if (starved) return undefined;
  if (proven && singleThreaded) {
    const asleep = (some: readonly Sample[]) => some.every(isAsleep) && rests(some);
    if (reaches(trustedMs, idle) && throughout(idle, asleep)) return 'idle';
    const stuck = (some: readonly Sample[]) => mostly(some, isBlocked) && rests(some);
    if (reaches(trustedMs, blocked) && throughout(blocked, stuck)) return 'blocked';
  }
  return reaches(silentMs, spinning) && samples.length > 0 ? 'spinning' : undefined;
}

/** Rounds come a little early or late. */
function reaches(lastedMs: number, limitMs: number): boolean {
  return lastedMs > limitMs - probePeriodMs / 2;
}

/** `T` by a signal, `t` by a debugger. */
function isStopped({ state }: Sample): boolean {
  return state === 'T' || state === 't';
}

function isBlocked({ state }: Sample): boolean {
  return state === 'D';
}

/** One that is ready to run and gets no processor is `R`: that is the machine's fault, not its own. */
function isAsleep({ state }: Sample): boolean {
  return state === 'S' || state === 'I';
}

function mostly(samples: readonly Sample[], is: (sample: Sample) => boolean): boolean {
  return samples.filter(is).length > samples.length / 2;
}

function rests(samples: readonly Sample[]): boolean {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  return last.cpuMs - first.cpuMs < spinningShare * (last.atMs - first.atMs);
}
