/** A driver that tells what the engine executed: for the trace, and for the history of what it has applied. */
import type { Driver } from '@larder/cache/testkit';
import { type History, type Item, inWords, type List, taggedWith } from './history.ts';

export interface Spy {
  readonly history: History;
  readonly now: () => number;
  /** Of a script by its SHA-1; undefined: it isn't the library's. */
  readonly nameOf: (source: string) => string | undefined;
  /** One command that was executed, in words; `told`: it moves the story on. */
  readonly ran: (text: string, told: boolean) => void;
}

export function spyDriver(inner: Driver, spy: Spy): Driver {
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
          const name = isScript ? spy.nameOf(script) : command;
          if (name === undefined) throw new Error(`A script that is none of the library's: ${script}`);
          const reply = await link.send(args);
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
  const keys = args.slice(3, 3 + keyCount);
  const rest = args.slice(3 + keyCount);
  switch (name) {
    case 'fill': {
      const entry = rest[5]!;
      const value = JSON.parse(entry.slice(entry.indexOf('\n') + 1)) as Item | List;
      if (answer === 'ok') history.checkFill(afterBrace(keys[0]!), value, now());
      return `fills ${inWords(value)}: ${answer}`;
    }
    case 'apply': {
      const fullKeys = JSON.parse(rest[5]!) as readonly string[];
      if (answer === 'ok') {
        for (const [index, fullKey] of fullKeys.entries()) {
          history.applied([fullKey], positionOf(rest.slice(7 + index * 3, 9 + index * 3)));
        }
      }
      return `applies the invalidation of ${fullKeys.join(', ') || 'no key'}: ${answer}`;
    }
    case 'applyTag': {
      const tag = tagOf(keys[2]!);
      if (answer === 'ok') history.applied(taggedWith(tag), positionOf(rest.slice(3, 5)));
      return `applies the invalidation of tag ${tag}: ${answer}`;
    }
    case 'void':
      return `makes definition ${rest[2]} void up to ${Number.parseInt(rest[3]!, 16)}: ${answer}`;
    case 'invalidate': {
      const fullKeys = JSON.parse(rest[2]!) as readonly string[];
      if (answer !== '0') history.invalidated(fullKeys);
      return `invalidates ${fullKeys.join(', ')}: ${answer === '0' ? 'no state' : 'ok'}`;
    }
    case 'stamp': {
      const fullKeys = JSON.parse(rest[3]!) as readonly string[];
      const stamp = BigInt(`0x${rest[0]}`);
      // Whoever caused it has a smaller number.
      if (answer !== '0') history.applied(fullKeys, stamp - 1n);
      return `stamps ${fullKeys.join(', ')} with ${stamp}: ${answer === '0' ? 'no state' : 'ok'}`;
    }
    case 'invalidateTag': {
      const tag = tagOf(keys[2]!);
      history.invalidated(taggedWith(tag));
      if (rest[4] !== '') history.applied(taggedWith(tag), BigInt(`0x${rest[4]}`) - 1n);
      return `invalidates tag ${tag}: ${answer} left`;
    }
    case 'init':
      if (answer !== 'ok') return undefined;
      history.forgotten();
      return 'begins an epoch';
    default:
      return undefined;
  }
}

/** High and low half, decimal. */
function positionOf([high, low]: readonly string[]): bigint {
  return (BigInt(high!) << 32n) | BigInt(low!);
}

function tagOf(setKey: string): string {
  return afterBrace(setKey).slice('#t:'.length);
}

function afterBrace(key: string): string {
  return key.slice(key.indexOf('}') + 1);
}
