/** The command's flags. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface ScenarioOptions {
  /** The whole sale unattended; without it, the cockpit. */
  readonly once: boolean;
  /** Absolute; only with `once`. */
  readonly reportPath: string;
  /** Absolute. */
  readonly dataPath: string | undefined;
  readonly pagesPerSecond: number;
  readonly secondsPerMode: number;
  readonly cockpitPort: number;
  readonly seed: number;
}

export class UsageError extends Error {
  override name = 'UsageError';
}

export const defaultPagesPerSecond = 800;
export const defaultCockpitPort = 8700;

export const help = `The flash sale: one shop, three ways of caching, prices changing and a primary dying under load.

  npm start                                       opens the cockpit; Ctrl-C stops everything
  npm start -- --once --report report.json        plays the whole sale unattended

  --once           play all three modes and measure saturation; exit 0 when every promise held, else 1
  --report FILE    where to write the result (report.json); FILE.html with charts goes beside it
  --data FILE.csv  sell what this order history holds instead of made-up products
  --rate N         pages asked for per second (${defaultPagesPerSecond})
  --seconds N      measured time per mode (30)
  --seed N         of the crowd, the prices and the made-up shop (1)
  --port N         of the cockpit; the next free one when taken (${defaultCockpitPort})
  --help
`;

/** @returns `help` when that was asked for. @throws UsageError with one sentence. */
export function parseOptions(args: readonly string[], workingDirectory: string): ScenarioOptions | 'help' {
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        once: { type: 'boolean' },
        report: { type: 'string' },
        data: { type: 'string' },
        rate: { type: 'string' },
        seconds: { type: 'string' },
        port: { type: 'string' },
        seed: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help === true) return 'help';
  const once = values.once === true;
  if (!once && values.report !== undefined) throw new UsageError('--report needs --once.');
  const path = (name: 'report' | 'data'): string | undefined => {
    const value = values[name];
    if (value === undefined) return undefined;
    if (value === '') throw new UsageError(`--${name} needs a file name.`);
    return resolve(workingDirectory, String(value));
  };
  return {
    once,
    reportPath: path('report') ?? resolve(workingDirectory, 'report.json'),
    dataPath: path('data'),
    pagesPerSecond: whole(values.rate, 'rate', 10, 20_000, defaultPagesPerSecond),
    secondsPerMode: whole(values.seconds, 'seconds', 5, 600, 30),
    cockpitPort: whole(values.port, 'port', 1, 65_535, defaultCockpitPort),
    seed: whole(values.seed, 'seed', 0, 2_147_483_647, 1),
  };
}

function whole(
  value: string | boolean | undefined,
  name: string,
  least: number,
  most: number,
  otherwise: number,
): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!/^\d+$/.test(String(value)) || number < least || number > most) {
    throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, not "${value}".`);
  }
  return number;
}
