/** `npm run chaos`: breaks things while clients write, and counts what the clients saw of it. */
import { writeFile } from 'node:fs/promises';
import { type JudgedBar, judge } from '../../bench/bar.ts';
import { helpText, numberOption, parseOptions, UsageError } from '../../bench/command-line.ts';
import { describeMachine, finish, machineText, progress, runCommand } from '../../bench/run-report.ts';
import { peerScenarios } from './peer-scenarios.ts';
import { markdownTable, resultTable } from './report.ts';
import { breakOff, type Scenario } from './scenario.ts';
import { type ScenarioResult, summaryOf } from './scenario-result.ts';
import { emptyName, filledName, scenarios } from './scenarios.ts';

const optionTexts = {
  fault: { value: 'NAME,...', text: 'only these; `list` shows their names (all)' },
  runs: { value: 'N', text: 'repetitions of each (20)' },
  peers: { text: 'also what others do with the same faults, as when all faults are run' },
  'no-peers': { text: 'without them' },
  json: { value: 'FILE', text: 'write every number there' },
  markdown: { value: 'FILE', text: 'write the table there' },
};

/** How much longer a write gap may be with data than without. */
const filledRatioLimit = 1.5;

let ending = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Often it comes twice: to us and to our process group.
  process.on(signal, () => {
    if (ending) return;
    ending = true;
    progress(`${signal}: ending what runs`);
    void breakOff().finally(() => process.exit(130));
  });
}

await runCommand(async () => {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose =
      'Kills, hangs, fills and starves real engines and the service while real clients write and read.';
    process.stdout.write(`${helpText('npm run chaos -- [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const all = [...scenarios, ...peerScenarios];
  if (options.fault === 'list') {
    for (const { name, title } of all) process.stdout.write(`${name.padEnd(48)} ${title}\n`);
    return 0;
  }
  const runs = numberOption('runs', options.runs, { fallback: 20, least: 1, most: 1_000 });
  const chosen = choose(all, options.fault, peersWanted(options));
  const machine = describeMachine();
  process.stdout.write(`${machineText(machine)}\n`);
  const { results, skipped } = await runAll(chosen, runs);
  if (results.length === 0) throw new UsageError('Nothing was run.');

  const ratio = judgeFilled(results);
  const bars = [...results.flatMap((each) => each.bars), ...(ratio === undefined ? [] : [ratio])];
  process.stdout.write(`\n${resultTable(results)}\n`);
  printDetails(results, skipped);
  if (options.markdown !== undefined) await writeFile(options.markdown, `${markdownTable(results)}\n`);
  return finish({ machine, runs, skipped, bars, results }, options.json);
});

/** undefined: as it is usual. */
function peersWanted({ peers, ...rest }: { readonly [name in 'peers' | 'no-peers']?: true | undefined }) {
  if (peers && rest['no-peers']) throw new UsageError('Either --peers or --no-peers.');
  return peers ? true : rest['no-peers'] ? false : undefined;
}

function choose(all: readonly Scenario[], names: string | undefined, peers: boolean | undefined): Scenario[] {
  if (names === undefined) return all.filter(({ peer }) => !peer || peers !== false);
  const asked = names.split(',').map((name) => {
    const found = all.find((each) => each.name === name);
    if (found === undefined) throw new UsageError(`There is no fault "${name}"; --fault list shows all.`);
    return found;
  });
  const others = peers === true ? all.filter((each) => each.peer && !asked.includes(each)) : [];
  return [...asked, ...others];
}

async function runAll(
  chosen: readonly Scenario[],
  runs: number,
): Promise<{ results: ScenarioResult[]; skipped: string[] }> {
  const results: ScenarioResult[] = [];
  const skipped: string[] = [];
  const asRoot = process.getuid?.() === 0;
  for (const each of chosen) {
    if (each.needsRoot && !asRoot) {
      skipped.push(each.name);
      progress(`SKIPPED ${each.name} (${each.title}): it needs root. NOTHING is shown about it by this run.`);
      continue;
    }
    progress(`${each.name}: ${each.title}`);
    results.push(await each.run(runs));
  }
  return { results, skipped };
}

/** Healing must not take longer because there is more data. */
function judgeFilled(results: readonly ScenarioResult[]): JudgedBar | undefined {
  const median = (name: string) => {
    const found = results.find((each) => each.name === name);
    return found === undefined ? undefined : summaryOf(found.figures, 'gapMs').median;
  };
  const [empty, filled] = [median(emptyName), median(filledName)];
  if (empty === undefined || filled === undefined) return undefined;
  return judge({
    name: 'write gap with 2 GB in memory, of the one without data',
    better: 'lower',
    limit: filledRatioLimit,
    unit: '×',
    values: [filled / empty],
  });
}

function printDetails(results: readonly ScenarioResult[], skipped: readonly string[]): void {
  const clients = new Set(results.map(({ client }) => client).filter((text) => text !== ''));
  process.stdout.write(`\nClients: ${[...clients].join('; ')}\n`);
  for (const { name, errors, failures, saw } of results) {
    const kinds = Object.entries(errors).map(([kind, count]) => `${count} × ${kind}`);
    if (kinds.length > 0) process.stdout.write(`${name}: client errors: ${kinds.join(', ')}\n`);
    for (const failure of failures) process.stdout.write(`${name}: NOT HEALED: ${failure}\n`);
    for (const each of saw) {
      if (Object.keys(each).length > 0) process.stdout.write(`${name}: ${JSON.stringify(each)}\n`);
    }
  }
  for (const name of skipped) process.stdout.write(`${name}: SKIPPED, it needs root.\n`);
}
