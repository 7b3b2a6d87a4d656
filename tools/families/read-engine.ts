/** What a version of Valkey or Redis tells of its directives: names, defaults, types, bounds, and which are fixed. */
import { spawn } from 'node:child_process';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import type { ScratchReply } from '@larder/fleet/scratch-process';

export interface ReadDirective {
  readonly name: string;
  readonly value: string;
  readonly dataType: 'string' | 'integer';
  readonly allowedValues?: string;
  readonly changeType: 'immediate' | 'requires-reboot';
}

const nonsense = '\u0001nonsense';
/** Beyond what 64 bits hold as a bound of anything, and still a number for the engine. */
const extremes = ['-9223372036854775807', '9223372036854775807'];

/**
 * @param wanted whether a directive is of interest; may throw.
 * @throws when the engine gives an answer nobody expected.
 */
export async function readDirectives(
  scratch: ScratchEngines,
  build: EngineBuild,
  wanted: (directive: string) => boolean,
): Promise<ReadDirective[]> {
  const [all] = await scratch.ask(build.engine, build.version, [['CONFIG', 'GET', '*']]);
  const words = grantedTo(all) as string[];
  const found: ReadDirective[] = [];
  for (let index = 0; index < words.length; index += 2) {
    const [name, value] = [words[index]!, words[index + 1]!];
    if (wanted(name)) found.push(await readDirective(scratch, build, name, value));
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function readDirective(
  scratch: ScratchEngines,
  build: EngineBuild,
  name: string,
  value: string,
): Promise<ReadDirective> {
  const trials = [value, nonsense, ...extremes].map((each) => ['CONFIG', 'SET', name, each]);
  const [same, ...refusals] = await scratch.ask(build.engine, build.version, trials);
  if (same?.ok) return { name, value, ...typeOf(refusals.map(refusalOf)), changeType: 'immediate' };
  if (!/immutable/.test(refusalOf(same))) throw new Error(`${name}: ${refusalOf(same)}`);
  // It can't be tried on a running engine, but one that starts complains in the same words.
  const complaints: string[] = [];
  for (const each of [nonsense, ...extremes]) complaints.push(await startWith(build, name, each));
  return { name, value, ...typeOf(complaints), changeType: 'requires-reboot' };
}

/** @param refusals of nonsense, of a number that is too low and of one that is too high. */
function typeOf(refusals: readonly string[]): Pick<ReadDirective, 'dataType' | 'allowedValues'> {
  const [toNonsense = '', ...toExtremes] = refusals;
  if (toNonsense.includes("must be 'yes' or 'no'")) return { dataType: 'string', allowedValues: 'yes,no' };
  const values = /one of the following: (.*)$/m.exec(toNonsense)?.[1];
  if (values !== undefined) return { dataType: 'string', allowedValues: values.replaceAll(', ', ',').trim() };
  if (!/parsed into an integer|must be a memory value/.test(toNonsense)) return { dataType: 'string' };
  for (const refusal of toExtremes) {
    const bounds = /must be between (\S+) and (\S+) inclusive/.exec(refusal);
    if (bounds !== null) return { dataType: 'integer', allowedValues: `${bounds[1]}-${bounds[2]}` };
  }
  return { dataType: 'integer' };
}

function grantedTo(reply: ScratchReply | undefined): unknown {
  if (reply?.ok === true) return reply.value;
  throw new Error(refusalOf(reply));
}

function refusalOf(reply: ScratchReply | undefined): string {
  return reply?.ok === false ? reply.error : '';
}

/** What an engine says that ends at once because of an argument it does not take. */
function startWith(build: EngineBuild, name: string, value: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = [...build.command.args, '--port', '0', '--save', '', `--${name}`, value];
    const child = spawn(build.command.file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 5_000 });
    let text = '';
    const keep = (chunk: Buffer) => {
      text += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code) =>
      code === null ? reject(new Error(`The engine started with ${name} ${value}.`)) : resolve(text),
    );
  });
}
