import { delimiter } from 'node:path';
import { defaultDirectories } from '@larder/engine/store/directories';

/** The only place where tests read the environment. */
export const directories: ReturnType<typeof defaultDirectories> = defaultDirectories(
  process.env,
  process.getuid?.(),
);
export const searchPath: string = process.env.PATH ?? '';
/** Other versions of Node to run the packed library on: their programs, separated as in PATH. */
export const otherNodes: readonly string[] =
  process.env.LARDER_TEST_NODES?.split(delimiter).filter((file) => file !== '') ?? [];

/** Where tests write down what they saw of the API; undefined in an ordinary run. */
export const apiCoverageFile: string | undefined = process.env.LARDER_API_COVERAGE;

/** For a program that runs the tests: its own environment with more in it. */
export function environmentWith(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...more };
}

/** The environment for a service that is to kill itself at one point, if at any. */
export function withCrashPoint(
  crashPoint: string | undefined,
  more: Readonly<Record<string, string>> = {},
): NodeJS.ProcessEnv {
  return environmentWith({ ...more, ...(crashPoint !== undefined && { LARDER_CRASH_POINT: crashPoint }) });
}

/** Crash points are tried right before each effect; with this also right after each. */
export const allCrashPoints: boolean = process.env.LARDER_TEST_CRASH_POINTS === 'all';
