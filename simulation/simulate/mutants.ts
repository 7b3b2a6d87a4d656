/**
 * Deliberate faults of the protocol, each of which the simulation must find. They change what goes over the seams, a
 * script's text, a message, an answer of the database, so the library itself stays as it is.
 */
import { createHash } from 'node:crypto';
import type { ChangeSource, DriverFaults, SourceFaults } from '@larder/cache/testkit';

export interface Mutation {
  /** Of each process. */
  readonly driver?: () => Pick<DriverFaults, 'rewrite' | 'message'>;
  readonly source?: SourceFaults;
  readonly wrapSource?: (source: ChangeSource) => ChangeSource;
}

export interface Mutant {
  readonly name: string;
  /** It must be found within so many seeds. */
  readonly withinSeeds: number;
  /** Made anew for each run. */
  create(): Mutation;
}

/** Replaces text in the scripts that have it. Throws when a script that should have it no longer does. */
function rewritten(
  changes: readonly { readonly script: RegExp; readonly from: string; readonly to: string }[],
) {
  return (): Mutation => {
    const sources = new Map<string, string>();
    const rewrite = (args: readonly string[]): readonly string[] => {
      const [command, first = '', ...rest] = args;
      if (command === 'EVAL') {
        let changed = first;
        for (const { script, from, to } of changes) {
          if (!script.test(first)) continue;
          if (!first.includes(from))
            throw new Error(`The mutation of ${from} has nothing to change any more.`);
          changed = changed.replace(from, to);
        }
        if (changed === first) return args;
        sources.set(createHash('sha1').update(first).digest('hex'), changed);
        return [command, changed, ...rest];
      }
      const source = command === 'EVALSHA' ? sources.get(first) : undefined;
      return source === undefined ? args : ['EVAL', source, ...rest];
    };
    return { driver: () => ({ rewrite }) };
  };
}

const fill = /local function verdict\(/;
const apply = /for i = 7, #ARGV, 3 do/;
const beat = /local beat = ARGV\[1\]/;
const mismatch = "if s[1] ~= ARGV[1] or s[2] ~= ARGV[2] then return {'mismatch', s[1], s[2]} end";

export const mutants: readonly Mutant[] = [
  {
    name: 'fill ignores the stamp',
    withinSeeds: 100,
    create: rewritten([{ script: fill, from: "if later(hi, lo, whi, wlo) then return 'stamp' end", to: '' }]),
  },
  {
    name: 'fill ignores the generation',
    withinSeeds: 400,
    create: rewritten([
      {
        script: fill,
        from: "if string.format('%.0f', generation) ~= ARGV[4] then return 'generation' end",
        to: '',
      },
    ]),
  },
  {
    name: 'an invalidation stamps but removes nothing',
    withinSeeds: 50,
    create: rewritten([
      { script: apply, from: "if #KEYS > 2 then redis.call('UNLINK', unpack(KEYS, 3)) end", to: '' },
    ]),
  },
  {
    name: 'the watermark runs ahead of visibility',
    withinSeeds: 100,
    create: () => ({
      source: { rewrite: (horizon) => ({ ...horizon, isVisible: () => true, isPast: () => true }) },
    }),
  },
  {
    name: 'beats are sent without waiting for what they claim',
    withinSeeds: 400,
    create: () => ({ source: { rewrite: (horizon) => ({ ...horizon, position: 0n }) } }),
  },
  {
    name: 'nobody counts messages, and some are lost',
    withinSeeds: 100,
    create: () => ({
      // Every third invalidation is lost, and the numbers of the others follow one another.
      driver: () => {
        let number = 0;
        let invalidations = 0;
        return {
          message: (_, text) => {
            const [kind = '', , ...rest] = text.split(' ');
            if (!/^[IWBPE]$/.test(kind)) return text;
            if (kind === 'I' && ++invalidations % 3 === 0) return undefined;
            if (kind === 'I' || kind === 'E') number += 1;
            return [kind, String(number), ...rest].join(' ');
          },
        };
      },
    }),
  },
  {
    name: 'a failover is not noticed',
    withinSeeds: 400,
    create: rewritten([
      { script: apply, from: mismatch, to: '' },
      { script: beat, from: mismatch, to: '' },
    ]),
  },
  {
    name: 'the slot is told what is not applied yet',
    withinSeeds: 400,
    create: () => ({
      wrapSource: (source) => ({
        ...source,
        start: (tables, sink) =>
          source.start(tables, {
            ...sink,
            commit: (position, atMs) => {
              source.acknowledge(position);
              sink.commit(position, atMs);
            },
          }),
      }),
    }),
  },
];
