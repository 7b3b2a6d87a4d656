/** One invocation from flags to exit code. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { startCockpit } from '../cockpit/cockpit.ts';
import {
  childEnvironment,
  MissingEnvironment,
  type ShopDirectories,
  shopDirectories,
  silenceSdkNotice,
} from '../config.ts';
import { type Market, readMarket } from '../sale/market.ts';
import type { SaleReport } from '../sale/report.ts';
import { reportHtml } from '../sale/report-html.ts';
import { printedReport } from '../sale/report-table.ts';
import { runSale } from '../sale/sale.ts';
import { larderCache } from './larder-service.ts';
import { environmentOf } from './machine.ts';
import { defaultPagesPerSecond, help, parseOptions, type ScenarioOptions, UsageError } from './options.ts';
import { progressPrinter } from './progress.ts';
import { type StartCache, Stopped, startScenario } from './scenario.ts';
import type { Stage } from './stage.ts';

/** @returns 0 done and all promises held, 1 failed or a promise broken, 2 called wrongly, 130 interrupted. */
export async function runCommand(args: readonly string[]): Promise<number> {
  let options: ScenarioOptions;
  let directories: ShopDirectories;
  try {
    const parsed = parseOptions(args, process.cwd());
    if (parsed === 'help') {
      process.stdout.write(help);
      return 0;
    }
    options = parsed;
    directories = shopDirectories();
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof MissingEnvironment)) throw error;
    process.stderr.write(`${error.message}\n${error instanceof UsageError ? 'See --help.\n' : ''}`);
    return 2;
  }
  silenceSdkNotice();
  return play(options, directories, larderCache);
}

/** @param startCache what provides the replication group; a test may bring its own. */
export async function play(
  options: ScenarioOptions,
  directories: ShopDirectories,
  startCache: StartCache,
): Promise<number> {
  const startedAtMs = Date.now();
  const progress = progressPrinter(process.stdout);
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  let tellCockpit: ((why: string) => void) | undefined;

  progress.line('Setting up the flash sale');
  const scenario = startScenario({
    directory: join(directories.data, 'flash-sale'),
    cacheDirectory: directories.cache,
    environment: childEnvironment(directories),
    seed: options.seed,
    dataPath: options.dataPath,
    progress,
    startCache,
    onDeath(why) {
      if (tellCockpit === undefined) fail(new Error(why));
      else tellCockpit(why);
    },
  });

  const interrupted = new Promise<'interrupted'>((resolve) => {
    let told = false;
    // Not once: a terminal and npm may each pass the same Ctrl-C on, and a second one must not end us before
    // everything that was started is stopped. The stop itself is bounded in time.
    const onSignal = (signal: NodeJS.Signals): void => {
      if (!told) progress.line(`\n${signal}: stopping everything that was started`);
      told = true;
      resolve('interrupted');
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });

  async function work(): Promise<number> {
    const stage = await scenario.ready;
    const market = await marketOf(stage);
    if (options.once) return playOnce(stage, market);
    const cockpit = await startCockpit({
      stage,
      market,
      port: options.cockpitPort,
      pagesPerSecond: options.pagesPerSecond,
      seed: options.seed,
    });
    tellCockpit = cockpit.processDied;
    progress.line(`\nThe flash sale is ready: ${cockpit.url}\nCtrl-C stops everything.\n`);
    await interrupted;
    await cockpit.close();
    return 0;
  }

  async function playOnce(stage: Stage, market: Market): Promise<number> {
    const report = await runSale(stage, market, {
      pagesPerSecond: options.pagesPerSecond,
      secondsPerMode: options.secondsPerMode,
      seed: options.seed,
      command: commandOf(options),
      environment: environmentOf(stage),
      startedAtMs,
      step: (sentence) => progress.step(sentence),
      detail: (sentence) => progress.detail(sentence),
    });
    progress.done();
    await writeReport(report, options.reportPath);
    progress.line(printedReport(report));
    progress.line(`  ${options.reportPath}\n  ${htmlPathOf(options.reportPath)}\n`);
    return report.promises.every((promise) => promise.held) ? 0 : 1;
  }

  let exitCode: number;
  try {
    const working = work();
    working.catch(() => {});
    const outcome = await Promise.race([working, failed, interrupted]);
    // Somebody who ends the cockpit with Ctrl-C has finished; who ends an unattended sale has no result.
    exitCode = outcome === 'interrupted' ? (options.once ? 130 : 0) : outcome;
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    if (!(error instanceof Stopped)) progress.line(`\nThe flash sale failed: ${sentence}`);
    exitCode = 1;
  }
  await scenario.stop();
  progress.line('Everything is stopped.');
  return exitCode;
}

async function marketOf(stage: Stage): Promise<Market> {
  const client = new pg.Client(stage.postgres);
  await client.connect();
  try {
    return await readMarket(client, stage.hotProductId);
  } finally {
    await client.end();
  }
}

function commandOf(options: ScenarioOptions): string {
  const flags = [
    `--seconds ${options.secondsPerMode}`,
    `--seed ${options.seed}`,
    ...(options.pagesPerSecond === defaultPagesPerSecond ? [] : [`--rate ${options.pagesPerSecond}`]),
    // The file's name and not its folder: a report is made to be shown around.
    ...(options.dataPath === undefined ? [] : [`--data ${options.dataPath.split('/').at(-1)}`]),
  ];
  return `npm start -- --once --report report.json ${flags.join(' ')}`;
}

async function writeReport(report: SaleReport, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(htmlPathOf(path), reportHtml(report));
}

function htmlPathOf(path: string): string {
  return `${path.replace(/\.json$/, '')}.html`;
}
