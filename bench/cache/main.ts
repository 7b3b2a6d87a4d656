/** `npm run bench -- cache` */
import { helpText, numberOption, parseOptions, UsageError } from '../command-line.ts';
import { describeMachine, finish, machineText, progress, runCommand } from '../run-report.ts';
import { seededRandom } from '../seeded-random.ts';
import type { BenchCase, CaseReport } from './bench-case.ts';
import { changeFeed } from './change-feed.ts';
import { farHit, nearHit } from './hits.ts';
import { invalidationLatency } from './invalidation-latency.ts';
import { sessions } from './sessions.ts';

const cases: readonly BenchCase[] = [nearHit, farHit, invalidationLatency, changeFeed, sessions];

const optionTexts = {
  seconds: { value: 'N', text: 'of measuring per case, roughly (20)' },
  only: { value: 'CASE', text: cases.map(({ name }) => name).join(', ') },
  json: { value: 'FILE', text: 'write every number there' },
};

await runCommand(async () => {
  const options = parseOptions(optionTexts, process.argv.slice(2));
  if (options.help) {
    const purpose = [
      'Measures the library beside its peers and prints ratios with their spread:',
      ...cases.map(({ name, purpose: about }) => `  ${name}: ${about}`),
    ].join('\n');
    process.stdout.write(`${helpText('npm run bench -- cache [options]', purpose, optionTexts)}\n`);
    return 0;
  }
  const seconds = numberOption('seconds', options.seconds, { fallback: 20, least: 1, most: 3_600 });
  const chosen = cases.filter(({ name }) => options.only === undefined || name === options.only);
  if (chosen.length === 0) {
    const known = cases.map(({ name }) => name).join(', ');
    throw new UsageError(`--only takes one of ${known}, not "${options.only}".`);
  }
  const machine = describeMachine();
  process.stdout.write(
    `${machineText(machine)}\nmedian [quartiles] of rounds; ratios are taken within a round\n`,
  );
  const reports: Record<string, CaseReport> = {};
  for (const { name, purpose, run } of chosen) {
    progress(name);
    const report = await run({ seconds, random: seededRandom(Date.now()) });
    reports[name] = report;
    process.stdout.write(`\n${name}: ${purpose}\n${report.text}\n`);
  }
  const bars = Object.values(reports).flatMap((report) => report.bars);
  const numbers = Object.fromEntries(Object.entries(reports).map(([name, report]) => [name, report.numbers]));
  return finish({ machine, seconds, cases: numbers, bars }, options.json);
});
