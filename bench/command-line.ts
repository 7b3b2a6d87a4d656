/** Options of the benches and proofs: `--name value`, and flags. */
import { parseArgs } from 'node:util';

/** The command was called wrongly: exit code 2, with the text. */
export class UsageError extends Error {}

export interface OptionTexts {
  /** Without a `value` it is a flag. */
  readonly [name: string]: { readonly value?: string; readonly text: string };
}

/** A flag that was not given is undefined. */
type ParsedOptions<T extends OptionTexts> = {
  readonly [name in keyof T]: (T[name] extends { readonly value: string } ? string : true) | undefined;
};

/** Every option is optional; `help` is always one. Throws UsageError. */
export function parseOptions<T extends OptionTexts>(
  options: T,
  words: readonly string[],
): { readonly help: boolean } & ParsedOptions<T> {
  const known = Object.fromEntries(
    Object.entries(options).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  try {
    const { values } = parseArgs({
      args: [...words],
      options: { ...known, help: { type: 'boolean' as const } },
      strict: true,
      allowPositionals: false,
    });
    const { help = false, ...given } = values as { help?: boolean };
    return { ...given, help } as ReturnType<typeof parseOptions<T>>;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

export function helpText(usage: string, purpose: string, options: OptionTexts): string {
  const lines = Object.entries(options).map(
    ([name, { value, text }]) => [value === undefined ? `--${name}` : `--${name} ${value}`, text] as const,
  );
  const width = Math.max(...lines.map(([left]) => left.length));
  return [
    `Use: ${usage}`,
    '',
    purpose,
    '',
    ...lines.map(([left, text]) => `  ${left.padEnd(width)}  ${text}`),
    '',
    'Exit code: 0 when every bar is met or within its printed spread, 1 when one is missed, 2 for wrong usage.',
  ].join('\n');
}

/** @param text undefined gives `fallback` */
export function numberOption(
  name: string,
  text: string | undefined,
  { fallback, least, most }: { readonly fallback: number; readonly least: number; readonly most: number },
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < least || value > most) {
    throw new UsageError(`--${name} takes a number from ${least} to ${most}, not "${text}".`);
  }
  return value;
}
