/** `larder engines ls|install|path`. */
import { join } from 'node:path';
import { type EngineName, engineNames, engineTraits, isEngineName, releaseOf } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import type { Config } from '../config.ts';
import { progressLine } from '../progress-line.ts';
import { UsageError } from '../usage-error.ts';

export async function listEngines(config: Config, json: boolean): Promise<void> {
  const builds = await storeOf(config).list();
  if (json) {
    process.stdout.write(`${JSON.stringify(builds)}\n`);
    return;
  }
  if (builds.length === 0) {
    process.stdout.write('No engine is installed. Install one with "larder engines install valkey".\n');
    return;
  }
  for (const { engine, version, origin, detail } of builds) {
    process.stdout.write(
      `${engine.padEnd(10)} ${releaseOf(version).padEnd(8)} ${origin.padEnd(8)} ${detail}\n`,
    );
  }
}

/** Without a name: all engines in their default versions. */
export async function installEngines(
  config: Config,
  request: {
    readonly engine?: string | undefined;
    readonly version?: string | undefined;
    readonly revision?: string | undefined;
  },
): Promise<void> {
  const store = storeOf(config);
  if (request.revision !== undefined && request.revision !== 'newest' && request.engine === undefined) {
    throw new UsageError(
      'A revision is of one engine: "larder engines install ENGINE VERSION --revision R".',
    );
  }
  const wanted = request.engine === undefined ? engineNames : [engineName(request.engine)];
  for (const engine of wanted) {
    const version = request.version ?? engineTraits[engine].defaultVersion;
    const line = progressLine(`${engineTraits[engine].title} ${version}`, config.plain);
    try {
      const build = await store.install(engine, version, {
        ...(request.revision !== undefined && { revision: request.revision }),
        onProgress: ({ text, fraction }) => line.update(text, fraction),
      });
      line.done(`${releaseOf(build.version)} (${build.detail})`);
    } catch (error) {
      line.failed();
      throw error;
    }
  }
}

/** Prints the command that runs the engine, one word a line. */
export async function printEnginePath(config: Config, name: string, version?: string): Promise<void> {
  const engine = engineName(name);
  const build: EngineBuild | undefined = await storeOf(config).find(engine, version);
  if (build === undefined) {
    throw new UsageError(
      `${engine} ${version ?? ''} is not installed. Run "larder engines install ${engine}${version ? ` ${version}` : ''}".`,
    );
  }
  process.stdout.write(`${[build.command.file, ...build.command.args].join('\n')}\n`);
}

function storeOf(config: Config) {
  return engineStore({ directory: join(config.directories.cache, 'engines'), searchPath: config.searchPath });
}

function engineName(text: string): EngineName {
  if (isEngineName(text)) return text;
  throw new UsageError(`There is no engine ${JSON.stringify(text)}; there are ${engineNames.join(', ')}.`);
}
