import type { EngineName } from '../engine.ts';

/** One runnable version of an engine on this machine. */
export interface EngineBuild {
  readonly engine: EngineName;
  /** As the program itself prints it, `9.1.2`; of a package with its revision behind it (`buildVersion`). */
  readonly version: string;
  /** `package`: a package tree in the store, run through its own loader. `system`: a program on PATH. */
  readonly origin: 'package' | 'system';
  /** Where it came from, for people: a package with its revision, or a path. */
  readonly detail: string;
  /** Put before the engine's own arguments: `spawn(command.file, [...command.args, ...engineArgs])`. */
  readonly command: { readonly file: string; readonly args: readonly string[] };
}

/** The build's program under the name by which it checks data files: `spawn(file, [...args, path], { argv0 })`. */
export function dataFileChecker({ engine, command: { file, args } }: EngineBuild): {
  readonly file: string;
  readonly args: readonly string[];
  readonly argv0: string;
} {
  const argv0 = `${engine}-check-rdb`;
  // Run through its own loader, it is the loader that names the program.
  const given = args.indexOf('--argv0');
  return { file, argv0, args: args.map((arg, index) => (given >= 0 && index === given + 1 ? argv0 : arg)) };
}

/** Told to whoever waits: one call per step begun, and more while a download runs. */
export type InstallProgress = (step: { readonly text: string; readonly fraction?: number }) => void;
