/** A driver that tells what the engine executed: for the trace, and for the history of what it has applied. */
import { createHash } from 'node:crypto';
import type { Driver } from '@larder/cache/testkit';
import type { History, Item } from './history.ts';

export interface Spy {
  readonly history: History;
  readonly now: () => number;
  /** One command that was executed, in words; `told`: it moves the story on. */
  readonly ran: (text: string, told: boolean) => void;
}

/** Scripts are known by what only they contain; they are the library's own, and may be mutated. */
const marks: readonly (readonly [name: string, mark: RegExp])[] = [
  ['fill', /local function verdict\(\)/],
  ['apply', /for i = 7, #ARGV, 3 do/],
  ['init', /return \{'changed', e or ''\}/],
  ['invalidate', /'I 0 ' \.\. ARGV\[3\]/],
  ['acquire', /return \{'busy'/],
  ['beat', /local beat = ARGV\[1\]/],
];

export function spyDriver(inner: Driver, spy: Spy): Driver {
  const names = new Map<string, string>();
  return {
    ...inner,
    openLink(node, events) {
      const link = inner.openLink(node, events);
      return {
        reset: () => link.reset(),
        close: () => link.close(),
        async send(args) {
          const [command = '', script = ''] = args;
          const isScript = command === 'EVAL' || command === 'EVALSHA';
          let name = isScript ? names.get(script) : command;
          if (name === undefined) {
            name = marks.find(([, mark]) => mark.test(script))?.[0] ?? 'script';
            if (command === 'EVAL') names.set(script, name);
          }
          const reply = await link.send(args);
          if (command === 'EVAL') names.set(createHash('sha1').update(script).digest('hex'), name);
          const answer = Array.isArray(reply) && isScript ? String(reply[0]) : isScript ? String(reply) : '';
          const about = observe(name, args, answer, spy);
          spy.ran(about ?? `${name} ${answer}`, about !== undefined);
          return reply;
        },
      };
    },
  };
}

/** Notes what the engine did; returns it in words where it matters to the story. */
function observe(
  name: string,
  args: readonly string[],
  answer: string,
  { history, now }: Spy,
): string | undefined {
  const keyCount = Number(args[2]);
  const rest = args.slice(3 + keyCount);
  if (name === 'fill') {
    const entry = rest[5]!;
    const value = JSON.parse(entry.slice(entry.indexOf('\n') + 1)) as Item;
    if (answer === 'ok') history.checkFill(value, now());
    return `fills key ${value.key} with left ${value.left}, right ${value.right}: ${answer}`;
  }
  if (name === 'apply') {
    const keys = (JSON.parse(rest[5]!) as readonly string[]).map(numberOf);
    if (answer === 'ok') {
      for (const [index, key] of keys.entries()) {
        const [high, low] = rest.slice(7 + index * 3, 9 + index * 3).map(BigInt);
        history.applied([key], (high! << 32n) | low!);
      }
    }
    return `applies the invalidation of key ${keys.join(', ')}: ${answer}`;
  }
  if (name === 'invalidate' && answer !== '0') {
    for (const key of JSON.parse(rest[2]!) as readonly string[]) history.invalidated(numberOf(key));
  }
  if (name === 'init' && answer === 'ok') {
    history.forgotten();
    return 'begins an epoch';
  }
  return undefined;
}

function numberOf(fullKey: string): number {
  return Number(fullKey.slice(fullKey.lastIndexOf(':') + 1));
}
