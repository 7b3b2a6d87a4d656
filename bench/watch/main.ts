/** `npm run bench -- watch`: what measuring takes, and how soon it tells. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JudgedBar } from '../bar.ts';
import { helpText, numberOption, parseOptions, UsageError } from '../command-line.ts';
import { describeMachine, finish, machineText, progress, runCommand } from '../run-report.ts';
import { measureCollecting } from './collecting.ts';
import { writeDay } from './day-of-data.ts';
import { measureNotification } from './notification.ts';
import { measureReading } from './reading.ts';

const parts = ['collecting', 'data', 'notification'] as const;
type Part = (typeof parts)[number];

const optionTexts = {
  only: { value: 'PART,…', text: `of ${parts.join(', ')}` },
  nodes: { value: 'N', text: 'nodes, a multiple of ten (40)' },
  seconds: { value: 'N', text: 'how long collecting is measured, and as long without it (60)' },
  seed: { value: 'N', text: 'for made up data and moments (1)' },
  json: { value: 'FILE', text: 'write every number there' },
};
const minuteMs = 60_000;

await runCommand(async () => {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose =
      'Measures what collecting, keeping and reading metrics takes, and how soon an alarm tells.';
    process.stdout.write(`${helpText('npm run bench -- watch [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const nodes = numberOption('nodes', options.nodes, { fallback: 40, least: 10, most: 200 });
  const seconds = numberOption('seconds', options.seconds, { fallback: 60, least: 5, most: 3_600 });
  const seed = numberOption('seed', options.seed, { fallback: 1, least: 0, most: 2 ** 31 });
  const chosen = choose(options.only);
  const machine = describeMachine();
  process.stdout.write(`${machineText(machine)}\n`);
  const bars: JudgedBar[] = [];
  if (chosen.includes('collecting')) {
    bars.push(...(await measureCollecting({ nodes, phaseMs: seconds * 1_000 })));
  }
  if (chosen.includes('data')) bars.push(...(await measureData(nodes, seed)));
  if (chosen.includes('notification')) {
    progress('an alarm by the second');
    bars.push(await measureNotification(seed));
  }
  return finish({ machine, nodes, seconds, seed, bars }, options.json);
});

async function measureData(nodes: number, seed: number): Promise<JudgedBar[]> {
  const folder = await mkdtemp(join(tmpdir(), 'larder-bench-watch-'));
  try {
    const file = join(folder, 'metrics.db');
    const endMs = Date.now() - (Date.now() % minuteMs);
    const disk = await writeDay({ file, nodes, endMs, seed });
    progress('reading a day of it');
    return [disk, await measureReading(file, nodes, endMs)];
  } finally {
    await rm(folder, { recursive: true });
  }
}

function choose(only: string | undefined): readonly Part[] {
  if (only === undefined) return parts;
  return only.split(',').map((name) => {
    const found = parts.find((each) => each === name);
    if (found === undefined) throw new UsageError(`There is no part ${name}.`);
    return found;
  });
}
