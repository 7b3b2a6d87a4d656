/**
 * `npm run simulate:control`: the control plane under seeded schedules of faults, in virtual time.
 *
 * Real are the planner, its linter, the executor, the switchover, the history of starts and the rules of leases and
 * consents. Around them everything is simulated: machines with clocks that run unequally fast, agents that refuse orders
 * of the past and take writes away before their lease ends, engines with roles, histories, offsets and a stream that
 * arrives later, a network that loses, delays and cuts one way or both, a disk that is slow, a service that dies between
 * any two effects, and clients on every side that write through connections they keep.
 *
 * One schedule is one group under up to five faults, or requests, often right after each other; then faults end and it
 * has to become whole. A step is one thing that happens: a message arrives, a timer ends, a write is taken. After each
 * step the invariants are checked (`invariants.ts`).
 *
 * Not simulated: cluster mode, migration, snapshots, settings, the router; engines that hang in other ways than by being
 * stopped; a machine that is stopped as a whole, agent, guard and engines, and goes on after its lease; agents that
 * stay away while their engines run, for which each has its guard; two services at the same time; loss of what is on disk.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { shrink } from '../shrink.ts';
import { type Outcome, run } from './run.ts';
import { inWords, parts, type Schedule, scheduleOf } from './schedule.ts';

const usage = `Runs the control plane's planner and executor under seeded schedules of crashes, pauses, partitions and
lost messages, in virtual time, and checks its invariants after every step.

npm run simulate:control -- [--steps N] [--seed S] [--schedule K] [--json FILE]

  --steps N      goes on until so many steps were taken, default 1000000
  --seed S       the first schedule's seed, default 1; the same seed gives the same run
  --schedule K   this schedule of the seed alone, with its whole story
  --json FILE    writes the summary there
Exit 1 when an invariant was broken.
`;

const invariants = 11;
/** Enough to see whether they are one kind. */
const mostFailures = 5;

interface Summary {
  readonly seed: number;
  schedules: number;
  steps: number;
  seconds: number;
  acknowledgedWrites: number;
  slowestConvergenceMs: number;
  readonly counts: Record<string, number>;
  readonly failures: { readonly schedule: number; readonly violation: string }[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      steps: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      schedule: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const [steps, seed, schedule] = [values.steps, values.seed, values.schedule ?? '0'].map(Number);
  for (const number of [steps, seed, schedule]) {
    if (Number.isSafeInteger(number) && number! >= 0) continue;
    process.stderr.write(`--steps, --seed and --schedule are whole numbers.\n\n${usage}`);
    return 2;
  }
  if (values.schedule !== undefined) return tellOne(seed!, schedule!);
  return runMany(steps!, seed!, values.json);
}

async function runMany(steps: number, seed: number, json: string | undefined): Promise<number> {
  const summary: Summary = {
    seed,
    schedules: 0,
    steps: 0,
    seconds: 0,
    acknowledgedWrites: 0,
    slowestConvergenceMs: 0,
    counts: {},
    failures: [],
  };
  const began = performance.now();
  while (summary.steps < steps && summary.failures.length < mostFailures) {
    const number = summary.schedules;
    const outcome = await run(scheduleOf(seed, number));
    add(summary, number, outcome);
    if (outcome.violations.length > 0) await tellFailure(seed, number);
  }
  summary.seconds = (performance.now() - began) / 1_000;
  print(summary);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(summary, null, 2)}\n`);
  return summary.failures.length === 0 ? 0 : 1;
}

function add(summary: Summary, schedule: number, outcome: Outcome): void {
  summary.schedules += 1;
  summary.steps += outcome.steps;
  summary.acknowledgedWrites += outcome.acknowledgedWrites;
  summary.slowestConvergenceMs = Math.max(summary.slowestConvergenceMs, outcome.convergedAfterMs);
  for (const [what, count] of Object.entries(outcome.counts)) {
    summary.counts[what] = (summary.counts[what] ?? 0) + count;
  }
  const [violation] = outcome.violations;
  if (violation === undefined) return;
  summary.failures.push({ schedule, violation: `${violation.invariant}: ${violation.detail}` });
}

function print(summary: Summary): void {
  const { seed, schedules, steps, seconds, counts, failures } = summary;
  const perSecond = (count: number): string => (count / seconds).toFixed(0);
  const lines = Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([what, count]) => `  ${String(count).padStart(9)}  ${what}\n`);
  process.stdout.write(
    `\n${lines.join('')}\n` +
      `seed ${seed}: ${schedules} schedules, ${steps} steps in ${seconds.toFixed(1)} s; a second ` +
      `${perSecond(schedules)} schedules, ${perSecond(steps)} steps\n` +
      `${summary.acknowledgedWrites} writes acknowledged; whole again after faults in at most ` +
      `${(summary.slowestConvergenceMs / 1_000).toFixed(1)} s\n` +
      `${invariants} invariants checked after every step: ` +
      `${failures.length === 0 ? 'none was broken' : `broken in ${failures.length} schedules`}\n`,
  );
}

async function tellFailure(seed: number, number: number): Promise<void> {
  const schedule = scheduleOf(seed, number);
  const [first] = (await run(schedule)).violations;
  const fails = async (smaller: Schedule): Promise<boolean> =>
    (await run(smaller)).violations[0]?.invariant === first!.invariant;
  const small = await shrink(schedule, parts, fails);
  const { setup } = small;
  const told = await run(small, { tellStory: true });
  process.stdout.write(
    `\nschedule ${number} of seed ${seed}, made small: ${setup.machines} machines, ${setup.members} members, ` +
      `${setup.formed ? 'served before' : 'made first'}, faults end at ${setup.endMs} ms\n` +
      `${small.faults.map((fault) => `  ${inWords(fault)}\n`).join('')}` +
      `What happens:\n${shortened(told.story)
        .map((line) => `  ${line}\n`)
        .join('')}` +
      `${told.violations.map(({ invariant, atMs, detail }) => `  => ${atMs.toFixed(1)} ms  ${invariant}: ${detail}\n`).join('')}` +
      `Replay it with: npm run simulate:control -- --seed ${seed} --schedule ${number}\n`,
  );
}

function shortened(story: readonly string[]): readonly string[] {
  const most = 120;
  if (story.length <= most) return story;
  return [...story.slice(0, most / 2), '...', ...story.slice(-most / 2)];
}

async function tellOne(seed: number, number: number): Promise<number> {
  const schedule = scheduleOf(seed, number);
  const outcome = await run(schedule, { tellStory: true });
  process.stdout.write(`${JSON.stringify(schedule.setup)}\n`);
  for (const line of outcome.story) process.stdout.write(`${line}\n`);
  if (outcome.violations.length === 0) {
    process.stdout.write(
      `schedule ${number} of seed ${seed}: ${outcome.steps} steps, no invariant was broken\n`,
    );
    return 0;
  }
  await tellFailure(seed, number);
  return 1;
}

process.exitCode = await main();
