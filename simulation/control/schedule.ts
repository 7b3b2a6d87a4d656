/** What happens in one run, as data: how the world is made, who writes, and what goes wrong or is asked for when. */
import { type Random, randomOf } from '../random.ts';
import { servicePlace } from './network.ts';
import type { WriterSetup } from './writer.ts';

export const faultKinds = [
  'engine crash',
  'primary crash',
  'engine stop',
  'primary stop',
  'service crash',
  'service crash at effect',
  'service stall',
  'agent crash',
  'machine lost',
  'machine cut off',
  'machine cut off twice',
  'machine cut off from the service',
  'one-way cut',
  'messages lost',
  'messages late',
  'slow disk',
  'slow stream',
  'all crash',
  'handover',
  'handover cut off',
  'restart nodes',
  'add replica',
  'remove replica',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Those that make no sense where everything is on one machine. */
const remoteKinds: ReadonlySet<FaultKind> = new Set([
  'agent crash',
  'machine lost',
  'machine cut off',
  'machine cut off twice',
  'machine cut off from the service',
  'one-way cut',
  'messages lost',
  'messages late',
]);

export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly forMs: number;
  /** Choices that the kind makes something of: numbers from 0 to 999. */
  readonly which: number;
  readonly detail: number;
}

export interface Setup {
  /** 1: everything on one machine, the service too. */
  readonly machines: number;
  readonly members: number;
  /** It has served before; else it is made first. */
  readonly formed: boolean;
  /** How much faster than true time each machine's clock runs, and in the end the service's. */
  readonly clockRates: readonly number[];
  /** When faults end. */
  readonly endMs: number;
}

export interface Schedule {
  readonly seed: number;
  readonly setup: Setup;
  readonly faults: readonly Fault[];
  readonly writers: readonly WriterSetup[];
}

/** What shrinking takes things out of. */
export const parts = ['faults', 'writers'] as const;

/** @param focus with these kinds of faults alone, on several machines. */
export function scheduleOf(seed: number, number: number, focus?: readonly FaultKind[]): Schedule {
  const random = randomOf((Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0);
  const machines = focus === undefined && random.chance(0.5) ? 1 : random.between(2, 3);
  const local = machines === 1;
  const members = random.chance(0.1) ? 1 : random.between(2, 4);
  const endMs = local ? random.between(300, 2_500) : random.between(2_000, 9_000);
  const kinds = focus ?? (local ? faultKinds.filter((kind) => !remoteKinds.has(kind)) : faultKinds);
  return {
    seed: random.between(0, 0x7fffffff),
    setup: {
      machines,
      members,
      formed: random.chance(0.85),
      clockRates: Array.from({ length: machines + 1 }, () => 1 + (random.next() - 0.5) * 0.04),
      endMs,
    },
    faults: faultsOf(random, kinds, endMs, local),
    writers: Array.from({ length: random.between(1, 3) }, () => ({
      place: local || random.chance(0.3) ? servicePlace : random.between(0, machines - 1),
      everyMs: random.chance(0.08) ? random.between(3, 10) : random.between(20, local ? 150 : 500),
      address: random.chance(0.85) ? '10.0.0.1' : `10.0.0.${10 + random.between(0, members - 1)}`,
    })),
  };
}

function faultsOf(random: Random, kinds: readonly FaultKind[], endMs: number, local: boolean): Fault[] {
  const faults: Fault[] = [];
  let atMs = random.between(20, Math.min(400, endMs));
  for (let left = random.between(1, 5); left > 0 && atMs < endMs; left -= 1) {
    faults.push({
      atMs,
      kind: random.pick(kinds),
      forMs: random.between(5, random.chance(0.5) ? 400 : local ? 1_500 : 7_000),
      which: random.between(0, 999),
      detail: random.between(0, 999),
    });
    // The next one often comes while the service is still at work on this one.
    atMs += random.chance(0.6) ? random.next() * (local ? 30 : 200) : random.next() * endMs;
  }
  return faults;
}

export function inWords({ atMs, kind, forMs, which, detail }: Fault): string {
  return `${atMs.toFixed(0).padStart(6)} ms  ${kind} (for ${forMs} ms, which ${which}, detail ${detail})`;
}
