/** Asks an engine's own checker about a data file. */
import { spawn } from 'node:child_process';
import { dataFileChecker, type EngineBuild } from '@larder/engine/store/engine-build';

export interface DataFileReport {
  readonly keys: number;
  /** Numbers of the databases that hold keys. */
  readonly databases: readonly number[];
  /** Of the engine that wrote the file, at that time; 0 when the file does not tell. */
  readonly usedMemoryBytes: number;
}

/** Of its output: it may be long when a file is broken, and names customers' keys. */
const longestOutput = 64 * 1024;

/** @returns undefined when the build can't read all of it. */
export async function checkDataFile(build: EngineBuild, file: string): Promise<DataFileReport | undefined> {
  const { file: program, args, argv0 } = dataFileChecker(build);
  const child = spawn(program, [...args, file], { argv0, stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (output.length < longestOutput) output += chunk.toString('latin1');
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return code === 0 ? readReport(output) : undefined;
}

/** (pure) */
export function readReport(output: string): DataFileReport {
  const databases = [...output.matchAll(/Selecting DB ID (\d+)/g)].map((match) => Number(match[1]));
  return {
    keys: Number(/\[info\] (\d+) keys read/.exec(output)?.[1] ?? 0),
    databases: [...new Set(databases)].sort((a, b) => a - b),
    usedMemoryBytes: Number(/AUX FIELD used-mem = '(\d+)'/.exec(output)?.[1] ?? 0),
  };
}
