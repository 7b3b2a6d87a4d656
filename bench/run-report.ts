/** How every bench and proof ends: bars on the screen, all of it in a file, an exit code. */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import type { JudgedBar } from './bar.ts';
import { UsageError } from './command-line.ts';
import { barTable } from './table.ts';

export interface Machine {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  /** 1, 5 and 15 minutes, before the run: what else was going on. */
  readonly loadAverage: readonly number[];
}

export function describeMachine(): Machine {
  const [first] = cpus();
  return {
    node: process.versions.node,
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    loadAverage: loadavg(),
  };
}

export function machineText({ node, cpu, cores, loadAverage }: Machine): string {
  const load = loadAverage.map((value) => value.toFixed(1)).join(' ');
  return `Node ${node}, ${cores} × ${cpu}, load average ${load} before the run`;
}

/** Prints the bars, writes the file, and returns the exit code. */
export async function finish(
  report: { readonly bars: readonly JudgedBar[]; readonly [part: string]: unknown },
  jsonPath: string | undefined,
): Promise<number> {
  process.stdout.write(`\n${barTable(report.bars)}\n`);
  if (jsonPath !== undefined) {
    await writeFile(jsonPath, `${JSON.stringify(report, undefined, 1)}\n`);
    process.stdout.write(`\nEverything in numbers: ${jsonPath}\n`);
  }
  const missed = report.bars.filter(({ verdict }) => verdict === 'missed');
  if (missed.length > 0) {
    process.stdout.write(`\nMissed: ${missed.map(({ name }) => name).join('; ')}\n`);
  }
  return missed.length === 0 ? 0 : 1;
}

/** Runs a command to its exit code; wrong usage says so and gives 2. */
export async function runCommand(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\nTry --help.\n`);
    process.exitCode = 2;
  }
}

/** A line of progress; what is measured goes to stdout, this doesn't. */
export function progress(text: string): void {
  process.stderr.write(`… ${text}\n`);
}
