/** The whole proof, its tables and its bars. */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import { type JudgedBar, judge } from '../bar.ts';
import { progress } from '../run-report.ts';
import { spreadOf } from '../statistics.ts';
import { defaultBoundMs } from '../subjects/larder.ts';
import { figure, table } from '../table.ts';
import { type HistoryReport, runHistory } from './random-history.ts';
import { ordinaryTraffic, schedules } from './schedules.ts';
import { type Invalidation, type RaceReport, runRaces } from './stale-set-race.ts';
import { runStampedes, type StampedeReport } from './stampede.ts';

export interface ProofOptions {
  readonly postgres: PostgresAddress;
  readonly larder: boolean;
  readonly peers: readonly string[];
  /** Of Larder's history; a peer gets a twentieth. */
  readonly seconds: number;
  readonly seed: number;
  readonly races: number;
  readonly rounds: number;
}

export interface Proof {
  readonly races: readonly RaceReport[];
  readonly stampedes: readonly StampedeReport[];
  readonly histories: readonly HistoryReport[];
}

const larderInvalidations: readonly Invalidation[] = [
  'same process',
  'other process',
  'feed only',
  'feed, before visibility',
];
/** Enough for a number per peer that does not vary much; a hand-written cache takes a second per round. */
const peerRounds = 5;
const leastPeerSeconds = 2;
const readsPerSecond = 1_000_000 / 120;
/** A history this long gives every fault its turn. */
const fullDeckSeconds = 60;

export async function runProof(options: ProofOptions): Promise<Proof> {
  const { postgres, larder, peers, seconds, seed, races, rounds } = options;
  const proof = {
    races: [] as RaceReport[],
    stampedes: [] as StampedeReport[],
    histories: [] as HistoryReport[],
  };
  let counter = 0;
  const fresh = (): string => `proof_${counter++}`;
  const subjects = [...(larder ? ['larder'] : []), ...peers];
  for (const subject of subjects) {
    const variants: readonly Invalidation[] = subject === 'larder' ? larderInvalidations : ['other process'];
    for (const invalidation of variants) {
      const report = await runRaces({ postgres, subject, invalidation, races, table: fresh() });
      proof.races.push(report);
      progress(`stale-set race, ${subject}, ${invalidation}: ${report.stale} of ${races} stale`);
    }
  }
  for (const subject of subjects) {
    const own = subject === 'larder' ? rounds : Math.min(rounds, peerRounds);
    const reports = await runStampedes({ postgres, subject, rounds: own, table: fresh() });
    proof.stampedes.push(...reports);
    for (const { loader, loads } of reports) {
      progress(`stampede, ${subject}, ${loader} loader: ${loads.join(' ')} loads`);
    }
  }
  for (const subject of subjects) {
    const own = subject === 'larder' ? seconds : Math.max(leastPeerSeconds, seconds / 20);
    proof.histories.push(
      await runHistory({ postgres, subject, seconds: own, seed, boundMs: defaultBoundMs, name: fresh() }),
    );
    progress(`history, ${subject}: done`);
  }
  return proof;
}

export function proofText({ races, stampedes, histories }: Proof): string {
  const parts = [
    'Stale-set race, in forced order: version 1 read afterwards',
    table(
      ['library', 'who invalidates', 'races', 'stale'],
      races.map((race) => [race.subject, race.invalidation, String(race.races), String(race.stale)]),
    ),
    '\nStampede: 4 processes × 250 readers of one cold key, a loader of 50 ms',
    table(
      ['library', 'loader', 'rounds', 'loads, median [min..max]', 'all alike', 'last answer ms'],
      stampedes.map(({ subject, loader, loads, uniform, lastMs }) => {
        const { median, min, max } = spreadOf(loads);
        return [
          ...[subject, loader, String(loads.length), `${figure(median)} [${min}..${max}]`],
          ...[`${uniform}`, figure(spreadOf(lastMs).median)],
        ];
      }),
    ),
    `\nRandom histories. Stale: replaced more than ${defaultBoundMs} ms before the read began; ours with faults, peers without`,
    table(
      ['library', 'seconds', 'reads', 'writes', 'stale', '%', 'oldest ms', 'stale at the end'],
      histories.map(({ subject, seconds, verdict, writes, keysStaleAtTheEnd }) => [
        ...[
          subject,
          figure(seconds),
          figure(verdict.reads),
          figure(writes),
          figure(verdict.violations.bound),
        ],
        ...[figure((100 * verdict.violations.bound) / verdict.reads), figure(verdict.oldestMs)],
        figure(keysStaleAtTheEnd),
      ]),
    ),
    ...histories.filter(({ subject }) => subject === 'larder').map(larderText),
  ];
  return parts.join('\n');
}

function larderText({
  verdict,
  faults,
  failedReads,
  loads,
  cachedAgainMs,
  seed,
  unknownWrites,
}: HistoryReport): string {
  const failed = Object.entries(failedReads).map(([name, count]) => `${count} ${name}`);
  return [
    `\nLarder, seed ${seed}: ${figure(verdict.farReads)} reads certainly from the shared tier, ${verdict.excused} of`,
    `them excused by failovers; ${figure(loads)} loads; failed reads: ${failed.join(', ') || 'none'}; commits with a`,
    `lost answer: ${unknownWrites}; everything cached again after ${figure(cachedAgainMs ?? Number.NaN)} ms.`,
    `Violations: ${JSON.stringify(verdict.violations)}`,
    ...verdict.examples.map((example) => `  ${JSON.stringify(example)}`),
    '',
    table(
      ['fault', 'done', 'not done', 'lasted ms each'],
      Object.entries(faults).map(([name, { done, failed: notDone, lastedMs }]) => [
        ...[name, String(done), String(notDone), figure(lastedMs / (done + notDone))],
      ]),
    ),
    '',
    'Known ways to break such a cache, and where they are tried:',
    ...schedules.map(({ name, here, elsewhere, outside }) => {
      const where = here === undefined ? (elsewhere ?? `does not apply: ${outside}`) : here.join(', ');
      return `  ${name}: ${where}`;
    }),
  ].join('\n');
}

export function proofBars({ races, stampedes, histories }: Proof, options: ProofOptions): JudgedBar[] {
  const one = (
    name: string,
    better: 'higher' | 'lower',
    limit: number,
    value: number,
    unit = '',
  ): JudgedBar => judge({ name, better, limit, unit, values: [value] });
  const bars: JudgedBar[] = [];
  for (const race of races.filter(({ subject }) => subject === 'larder')) {
    bars.push(one(`stale-set race, ${race.invalidation}`, 'lower', 0, race.stale, `of ${race.races}`));
  }
  const peerRaces = races.filter(({ subject }) => subject !== 'larder');
  if (peerRaces.length > 0) {
    const caught = peerRaces.filter(({ stale }) => stale > 0).length;
    bars.push(one('the race catches peers (or it proves nothing)', 'higher', 1, caught));
  }
  for (const { subject, loader, loads, uniform } of stampedes) {
    if (subject !== 'larder') continue;
    const single = loads.filter((count) => count === 1).length;
    bars.push(one(`stampede, ${loader} loader: rounds with 1 load`, 'higher', loads.length, single));
    bars.push(one(`stampede, ${loader} loader: rounds with one outcome`, 'higher', loads.length, uniform));
  }
  for (const history of histories.filter(({ subject }) => subject === 'larder')) {
    const { verdict, keysStaleAtTheEnd, cachedAgainMs, faults, seconds } = history;
    bars.push(one('history: reads', 'higher', Math.round(readsPerSecond * seconds), verdict.reads));
    bars.push(one('history: far reads checked', 'higher', Math.round(10 * seconds), verdict.farReads));
    for (const [rule, count] of Object.entries(verdict.violations)) {
      bars.push(one(`history: violations of "${rule}"`, 'lower', 0, count));
    }
    bars.push(one('history: keys stale at the end', 'lower', 0, keysStaleAtTheEnd));
    bars.push(
      one('history: until cached again', 'lower', 15_000, cachedAgainMs ?? Number.POSITIVE_INFINITY, 'ms'),
    );
    if (options.seconds >= fullDeckSeconds) {
      const never = Object.values(faults).filter(({ done }) => done === 0).length;
      bars.push(one('history: faults that never happened', 'lower', 0, never));
    }
  }
  return bars;
}

/** (for the test) Parts that a schedule names and nobody has. */
export function unknownParts(faultNames: readonly string[]): string[] {
  const known = new Set([
    ...faultNames,
    ...ordinaryTraffic,
    ...larderInvalidations.map((invalidation) => `race: ${invalidation}`),
  ]);
  return schedules.flatMap(({ here = [] }) => here.filter((name) => !known.has(name)));
}
