/** (pure) Between ElastiCache's parameters and the directives of Valkey and Redis: equal but for buffer limits. */
import { bufferClasses, bufferParts, pseudoParameters } from './curation.ts';

const bufferDirective = 'client-output-buffer-limit';
/** As CONFIG GET still calls it. */
const shownClass = { normal: 'normal', replica: 'slave', pubsub: 'pubsub' } as const;

/** The directive that a parameter is (a part of), or undefined when it is none of the engine's. */
export function directiveOf(parameter: string): string | undefined {
  if (Object.hasOwn(pseudoParameters, parameter)) return undefined;
  return parameter.startsWith(`${bufferDirective}-`) ? bufferDirective : parameter;
}

/** @param values of every parameter that is a part of one of the directives. */
export function toDirectives(values: ReadonlyMap<string, string>): Map<string, string> {
  const directives = new Map<string, string>();
  for (const [parameter, value] of values) {
    const directive = directiveOf(parameter);
    if (directive === bufferDirective) directives.set(directive, joinBufferLimits(values));
    else if (directive !== undefined) directives.set(directive, value);
  }
  return directives;
}

/** The parameters that a directive's value stands for. @throws for buffer limits in another form than we know. */
export function fromDirective(directive: string, value: string): [parameter: string, value: string][] {
  if (directive !== bufferDirective) return [[directive, value]];
  const words = value.split(' ');
  return bufferClasses.flatMap((each) => {
    const at = words.indexOf(shownClass[each]);
    if (at < 0) throw new Error(`No class ${shownClass[each]} in ${bufferDirective} ${value}.`);
    return bufferParts.map((part, index): [string, string] => [
      `${bufferDirective}-${each}-${part}`,
      words[at + 1 + index]!,
    ]);
  });
}

function joinBufferLimits(values: ReadonlyMap<string, string>): string {
  return bufferClasses
    .flatMap((each) => [
      shownClass[each],
      ...bufferParts.map((part) => values.get(`${bufferDirective}-${each}-${part}`)!),
    ])
    .join(' ');
}
