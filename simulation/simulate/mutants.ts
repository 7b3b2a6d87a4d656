/**
 * Deliberate faults of the protocol, each of which the simulation must find. They change what goes over the seams, a
 * script's text, a message, an answer of the database, so the library itself stays as it is.
 */
import { createHash } from 'node:crypto';
import type { Database } from '@larder/cache';
import {
  type ChangeSource,
  type Driver,
  type DriverFaults,
  libraryScripts,
  type NodeAddress,
  type SourceFaults,
} from '@larder/cache/testkit';

export interface Mutation {
  /** Other sources of the library's scripts, by name. */
  readonly scripts?: ReadonlyMap<string, string>;
  /** Of each process. */
  readonly driver?: () => Pick<DriverFaults, 'message'>;
  readonly wrapDriver?: (driver: Driver, replica: NodeAddress) => Driver;
  readonly source?: SourceFaults;
  readonly wrapDatabase?: (database: Database) => Database;
  readonly wrapSource?: (source: ChangeSource) => ChangeSource;
}

export interface Mutant {
  readonly name: string;
  /** It must be found within so many seeds. */
  readonly withinSeeds: number;
  /** Made anew for each run. */
  create(): Mutation;
}

/** Scripts as they go over the wire, with those of a mutation in the place of their originals. */
export class WireScripts {
  readonly #names = new Map<string, string>();
  readonly #mutated = new Map<string, string>();

  constructor(mutated: ReadonlyMap<string, string> = new Map()) {
    for (const { name, source, sha1 } of libraryScripts) {
      const changed = mutated.get(name);
      this.#names.set(changed === undefined ? sha1 : sha1Of(changed), name);
      if (changed !== undefined) this.#mutated.set(sha1, changed);
      if (changed === source) throw new Error(`The mutation of script ${name} changes nothing.`);
    }
  }

  /** Of what EVAL or EVALSHA names; undefined for what isn't the library's. */
  nameOf(script: string): string | undefined {
    return this.#names.get(script) ?? this.#names.get(sha1Of(script));
  }

  rewrite(args: readonly string[]): readonly string[] {
    const [command, script = '', ...rest] = args;
    if (command !== 'EVAL' && command !== 'EVALSHA') return args;
    const source = this.#mutated.get(command === 'EVAL' ? sha1Of(script) : script);
    return source === undefined ? args : ['EVAL', source, ...rest];
  }
}

function sha1Of(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

/** Replaces text in scripts. Throws when one no longer has it: then the mutant would test nothing. */
function rewritten(
  changes: readonly { readonly script: string; readonly from: string; readonly to: string }[],
): () => Mutation {
  return () => {
    const scripts = new Map<string, string>();
    for (const { script, from, to } of changes) {
      const source = scripts.get(script) ?? libraryScripts.find(({ name }) => name === script)?.source;
      if (source === undefined) throw new Error(`The library has no script ${script} any more.`);
      if (!source.includes(from)) throw new Error(`Script ${script} doesn't have this any more: ${from}`);
      scripts.set(
        script,
        source.replace(from, () => to),
      );
    }
    return { scripts };
  };
}

const mismatch = "if s[1] ~= ARGV[1] or s[2] ~= ARGV[2] then return {'mismatch', s[1], s[2]} end";

export const mutants: readonly Mutant[] = [
  {
    name: 'fill ignores the stamp',
    withinSeeds: 100,
    create: rewritten([
      { script: 'fill', from: "if later(hi, lo, whi, wlo) then return 'stamp' end", to: '' },
    ]),
  },
  {
    name: 'fill ignores the generation',
    withinSeeds: 400,
    create: rewritten([
      {
        script: 'fill',
        from: "if string.format('%.0f', generation) ~= ARGV[4] then return 'generation' end",
        to: '',
      },
    ]),
  },
  {
    name: 'an invalidation stamps but removes nothing',
    withinSeeds: 50,
    create: rewritten([
      { script: 'apply', from: "if #KEYS > 2 then redis.call('UNLINK', unpack(KEYS, 3)) end", to: '' },
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
            if (!/^[IVWBPE]$/.test(kind)) return text;
            if (kind === 'I' && ++invalidations % 3 === 0) return undefined;
            if (/^[IVE]$/.test(kind)) number += 1;
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
      { script: 'apply', from: mismatch, to: '' },
      { script: 'beat', from: mismatch, to: '' },
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
  {
    name: 'a fill ignores the stamps of its tags',
    withinSeeds: 100,
    create: rewritten([{ script: 'fill', from: 'for i = firstTag, #ARGV do', to: 'for i = 1, 0 do' }]),
  },
  {
    name: "an application's invalidation of a tag moves no record",
    withinSeeds: 400,
    create: rewritten([
      {
        script: 'invalidateTag',
        from: "redis.call('SETRANGE', KEYS[2], ARGV[3] + 8, struct.pack('>I4', t))",
        to: '',
      },
    ]),
  },
  {
    name: 'an invalidation of a tag makes an evicted table of tags anew, without the others',
    withinSeeds: 800,
    create: rewritten([
      { script: 'invalidateTag', from: " and redis.call('STRLEN', KEYS[2]) == 49152 then", to: ' then' },
      { script: 'beat', from: "redis.call('STRLEN', KEYS[4]) < 49152", to: 'false' },
    ]),
  },
  {
    name: "the feed's invalidation of a tag removes nothing",
    withinSeeds: 50,
    create: rewritten([
      {
        script: 'applyTag',
        from: 'local _, left = removeTagged(KEYS[1], KEYS[3], ARGV[8], ARGV[6], ARGV[7])',
        to: "local left = '0'",
      },
    ]),
  },
  {
    name: 'readers do not look at the list of void definitions',
    withinSeeds: 50,
    create: () => ({ wrapDriver: withoutVoids }),
  },
  {
    name: 'a heartbeat drops the list of void definitions',
    withinSeeds: 50,
    create: rewritten([{ script: 'beat', from: " .. (s[5] or '')", to: '' }]),
  },
  {
    name: 'a lease is given although the definition is void beyond W',
    withinSeeds: 400,
    create: rewritten([
      { script: 'acquire', from: 'refused = refused or later(vhi, vlo, whi, wlo)', to: '' },
    ]),
  },
  {
    name: 'events without a position stamp nothing',
    withinSeeds: 200,
    create: rewritten([
      {
        script: 'stamp',
        from: "redis.call('SETRANGE', KEYS[2], ARGV[i], struct.pack('>I4I4', hi, lo))",
        to: '',
      },
    ]),
  },
  {
    name: 'a token is beyond transactions in progress',
    withinSeeds: 200,
    create: () => ({
      wrapDatabase: (database) => ({ ...database, oldestInProgress: () => database.barrier() }),
    }),
  },
  {
    name: 'what replicas gave is kept near',
    withinSeeds: 200,
    create: () => ({ wrapDriver: readsFrom }),
  },
  {
    name: 'an entry is kept a hundred times too long',
    withinSeeds: 50,
    create: rewritten([{ script: 'fill', from: "'PX', ARGV[7])", to: "'PX', ARGV[7] * 100)" }]),
  },
];

const beatLength = 40;

/** What follows the heartbeat in a reply is cut off. */
function withoutVoids(driver: Driver): Driver {
  const cut = (beat: unknown): unknown => (typeof beat === 'string' ? beat.slice(0, beatLength) : beat);
  return withReplies(driver, (args, reply) => {
    if (!Array.isArray(reply)) return reply;
    if (args[0] === 'MGET') return [...reply.slice(0, -1), cut(reply.at(-1))];
    return reply[0] === 'value' ? [reply[0], reply[1], cut(reply[2])] : reply;
  });
}

function withReplies(driver: Driver, change: (args: readonly string[], reply: unknown) => unknown): Driver {
  return {
    ...driver,
    openLink: (node, events) => {
      const link = driver.openLink(node, events);
      return {
        send: async (args) => change(args, await link.send(args)),
        reset: () => link.reset(),
        close: () => link.close(),
      };
    },
  };
}

/** Reads go to the replica, and the cache takes them for the primary's. */
function readsFrom(driver: Driver, replica: NodeAddress): Driver {
  return {
    ...driver,
    openLink: (node, events) => {
      const link = driver.openLink(node, events);
      const other = driver.openLink(replica, { up: () => {}, down: () => {} });
      return {
        send: (args) => (args[0] === 'MGET' ? other.send(args) : link.send(args)),
        reset: () => link.reset(),
        close: () => {
          link.close();
          other.close();
        },
      };
    },
  };
}
