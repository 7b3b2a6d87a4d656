/** `npm run simulate`: seeds, one after the other; a violation is shrunk and told as a story. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { shrink } from '../shrink.ts';
import { type Mutant, mutants } from './mutants.ts';
import { type Plan, parts, planOf } from './plan.ts';
import { type Outcome, run } from './run.ts';

const usage = `Runs the library and its scripts under seeded schedules of delays, losses, crashes and failovers, in virtual
time, and checks every read.

npm run simulate -- [--seeds N] [--from SEED] [--seed S] [--minutes M] [--mutants] [--json FILE]

  --seeds N        how many, default 300
  --from SEED      the first, default 1
  --seed S         this one alone, with its whole story
  --minutes M      goes on for so long instead
  --mutants        breaks the protocol on purpose, one way after the other: each must be found
  --json FILE      writes the summary there
Exit 1 when a promise was broken, or a mutant was not found.
`;

interface Summary {
  seeds: number;
  seconds: number;
  reads: number;
  writes: number;
  nearHits: number;
  farHits: number;
  staleHits: number;
  refreshes: number;
  voided: number;
  loads: number;
  commands: number;
  readonly faults: Record<string, number>;
  readonly violations: { readonly seed: number; readonly violations: readonly string[] }[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '300' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      minutes: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const from = wholeNumber('from', values.from);
  if (values.seed !== undefined) return tellOne(wholeNumber('seed', values.seed));
  if (values.mutants) return findMutants(from, values.json);
  const until =
    values.minutes === undefined ? undefined : performance.now() + Number(values.minutes) * 60_000;
  if (until !== undefined && !(Number(values.minutes) > 0)) return refuse('--minutes must be more than 0.');
  return runSeeds(from, wholeNumber('seeds', values.seeds), until, values.json);
}

async function runSeeds(
  from: number,
  seeds: number,
  untilMs: number | undefined,
  json: string | undefined,
): Promise<number> {
  const summary: Summary = {
    seeds: 0,
    seconds: 0,
    reads: 0,
    writes: 0,
    nearHits: 0,
    farHits: 0,
    staleHits: 0,
    refreshes: 0,
    voided: 0,
    loads: 0,
    commands: 0,
    faults: {},
    violations: [],
  };
  const began = performance.now();
  const goesOn = (seed: number): boolean =>
    untilMs === undefined ? seed < from + seeds : performance.now() < untilMs;
  for (let seed = from; goesOn(seed); seed += 1) {
    const outcome = await run(planOf(seed));
    add(summary, seed, outcome);
    if (outcome.violations.length === 0) continue;
    await tellViolation(planOf(seed), outcome);
    if (summary.violations.length >= 5) break;
  }
  summary.seconds = (performance.now() - began) / 1_000;
  print(summary);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(summary, null, 2)}\n`);
  return summary.violations.length === 0 ? 0 : 1;
}

const counted = [
  'reads',
  'writes',
  'nearHits',
  'farHits',
  'staleHits',
  'refreshes',
  'voided',
  'loads',
  'commands',
] as const;

function add(summary: Summary, seed: number, outcome: Outcome): void {
  summary.seeds += 1;
  for (const field of counted) {
    summary[field] += outcome[field];
  }
  for (const [kind, count] of Object.entries(outcome.faults)) {
    summary.faults[kind] = (summary.faults[kind] ?? 0) + count;
  }
  if (outcome.violations.length > 0) summary.violations.push({ seed, violations: outcome.violations });
}

function print({ seeds, seconds, faults, violations, ...counts }: Summary): void {
  const { reads, writes, nearHits, farHits, staleHits, refreshes, voided, loads, commands } = counts;
  process.stdout.write(
    `\n${seeds} seeds in ${seconds.toFixed(1)} s, ${(seeds / seconds).toFixed(1)} a second\n` +
      `${reads} reads (${nearHits} near, ${farHits} far, ${staleHits} of them stale), ${loads} loads, ` +
      `${refreshes} refreshes\n${writes} writes, ${voided} definitions made void, ${commands} commands\n` +
      `${Object.entries(faults)
        .sort(([, a], [, b]) => b - a)
        .map(([kind, count]) => `  ${String(count).padStart(5)} ${kind}\n`)
        .join('')}` +
      `${violations.length === 0 ? 'no violation' : `${violations.length} seeds with violations`}\n`,
  );
}

async function tellViolation(plan: Plan, outcome: Outcome): Promise<void> {
  process.stdout.write(`\nseed ${plan.seed}: ${outcome.violations[0]}\n`);
  const fails = async (smaller: Plan): Promise<boolean> => (await run(smaller)).violations.length > 0;
  const small = await shrink(plan, parts, fails);
  const told = await run(small, { tellStory: true });
  // What comes after the faults matters only if the last look found it.
  const healed = told.story.findIndex((line) => line.includes('everything is healed'));
  const early = told.violations.some((violation) => /^\d/.test(violation));
  const story = early ? told.story.slice(0, healed) : told.story;
  process.stdout.write(
    `Shrunk to ${small.faults.length} faults, ${small.writes.length} writes, ${small.reads.length} reads:\n` +
      `${story.map((line) => `  ${line}\n`).join('')}` +
      `${told.violations.map((violation) => `  => ${violation}\n`).join('')}` +
      `Replay it with: npm run simulate -- --seed ${plan.seed}\n`,
  );
}

async function tellOne(seed: number): Promise<number> {
  const outcome = await run(planOf(seed), { tellStory: true });
  for (const line of outcome.story) process.stdout.write(`${line}\n`);
  process.stdout.write(`trace ${outcome.trace}\n`);
  if (outcome.violations.length === 0) {
    process.stdout.write(`seed ${seed}: ${outcome.reads} reads, no violation\n`);
    return 0;
  }
  await tellViolation(planOf(seed), outcome);
  return 1;
}

async function findMutants(from: number, json: string | undefined): Promise<number> {
  const rows: { mutant: string; seed: number | null; tried: number; violation: string }[] = [];
  for (const mutant of mutants) {
    const found = await findMutant(mutant, from);
    const row = { mutant: mutant.name, seed: found?.seed ?? null, tried: found?.tried ?? mutant.withinSeeds };
    rows.push({ ...row, violation: found?.violation ?? '' });
    const verdict =
      found === undefined ? `NOT FOUND in ${mutant.withinSeeds} seeds` : `found by seed ${found.seed}`;
    process.stdout.write(`${mutant.name.padEnd(48)} ${verdict}\n`);
    if (found !== undefined) process.stdout.write(`    ${found.violation}\n`);
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  const missed = rows.filter(({ seed }) => seed === null).length;
  process.stdout.write(`\n${rows.length} mutants, ${missed} not found\n`);
  return missed === 0 ? 0 : 1;
}

async function findMutant(
  mutant: Mutant,
  from: number,
): Promise<{ seed: number; tried: number; violation: string } | undefined> {
  for (let tried = 1; tried <= mutant.withinSeeds; tried += 1) {
    const seed = from + tried - 1;
    const { violations } = await run(planOf(seed), { mutation: mutant.create() });
    if (violations.length > 0) return { seed, tried, violation: violations[0]! };
  }
  return undefined;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    process.exitCode = refuse(`--${name} must be a whole number.`);
    process.exit();
  }
  return value;
}

function refuse(message: string): number {
  process.stderr.write(`${message}\n`);
  return 2;
}

process.exitCode = await main();
