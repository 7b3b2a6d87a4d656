/**
 * Things of the database that are read in parts: details of a product as a hash, the latest of something as a list,
 * a ranking as a sorted set. They are definitions with all that this means (watches, `boundMs`, `invalidate`, one load
 * per key over all processes, refused fills); only a read fetches the part it needs, from the shared tier, in one
 * round trip. Parts of two versions are never mixed: part, header and proof are read in one atomic step.
 */
import type { Cache } from '../cache.ts';
import { Definition, type DefinitionHost, type DefinitionOptions } from '../definition.ts';
import { decodeBody, positionOf } from '../entry.ts';
import { CacheConfigError } from '../errors.ts';
import { hashKey } from '../far/partition.ts';
import { voidedThrough } from '../far/voids.ts';
import { hashShape, listShape, type Scored, type Shape, scoredOf, sortedSetShape } from './shapes.ts';
import { readPart, structureTier } from './structure-tier.ts';

export type { Scored };

/** As for a definition. Structures have no tags, aren't compressed, and aren't kept in this process. */
export type StructureOptions<A, V> = Omit<DefinitionOptions<A, V>, 'tags' | 'compressAboveLength'>;

export interface Structures {
  /** `load` gives an object. All throw CacheConfigError, also when the name is taken by any definition. */
  hash<A, V extends object>(options: StructureOptions<A, V>): CachedHash<A, V>;
  /** `load` gives an array, in the order in which it is to be read; at most 50,000 items. */
  list<A, T>(options: StructureOptions<A, readonly T[]>): CachedList<A, T>;
  /** `load` gives members with finite scores, in any order; at most 50,000. */
  sortedSet<A>(options: StructureOptions<A, readonly Scored[]>): CachedSortedSet<A>;
}

export function createStructures(cache: Cache): Structures {
  return {
    hash: (options) => new CachedHash(new Structure(cache, hashShape, options), options.key),
    list: (options) => new CachedList(new Structure(cache, listShape, options), options.key),
    sortedSet: (options) => new CachedSortedSet(new Structure(cache, sortedSetShape, options), options.key),
  };
}

/** What all kinds share: a definition over the shaped tier, and reads of parts. */
class Structure<A, V> {
  readonly definition: Definition<A, V>;
  readonly #host: DefinitionHost;
  readonly #kind: Shape['kind'];

  constructor(cache: Cache, shape: Shape, options: StructureOptions<A, V>) {
    const { name, load, loadMany } = options;
    const refused = ['tags', 'compressAboveLength'].find((option) => option in options);
    if (refused !== undefined)
      throw new CacheConfigError(`Structure ${name}: \`${refused}\` isn't for structures.`);
    const canonical = (value: V | null | undefined): V | null | undefined =>
      value === null || value === undefined ? value : (shape.canonical(name, value) as V);
    this.#host = cache.internals;
    this.#kind = shape.kind;
    const tier = structureTier(this.#host.far, this.#host.tier, shape);
    const made = new Definition<A, V>(
      { ...this.#host, tier, near: undefined, checker: undefined },
      {
        ...options,
        load: async (argument, context) => canonical(await load(argument, context)),
        ...(loadMany === undefined
          ? {}
          : {
              loadMany: async (args, context) => {
                const found = await loadMany(args, context);
                return new Map([...found].map(([argument, value]) => [argument, canonical(value)]));
              },
            }),
      },
    );
    this.definition = cache.adopt(made);
  }

  /** What `command` gives, null when the thing is known absent, undefined when the whole must be asked for. */
  async part(
    key: string,
    command: readonly string[],
  ): Promise<{ readonly reply: unknown } | null | undefined> {
    const { far, tier, ownWrites } = this.#host;
    const { prefix, proven, voidHash, stats } = this.definition;
    const fullKey = prefix + key;
    const partition = far.partitionOf(hashKey(fullKey));
    if (!partition.usable) return undefined;
    const least = proven ? ownWrites.least() : undefined;
    let read: Awaited<ReturnType<typeof readPart>>;
    try {
      read = await readPart(far, { partition, fullKey }, { kind: this.#kind, command });
    } catch {
      return undefined;
    }
    const { beat, header, reply } = read;
    const proof = tier.reads.judge(partition, beat);
    if (header === '' || (proof.verdict !== 'fresh' && (proven || proof.verdict !== 'stale')))
      return undefined;
    if (least !== undefined && proof.applied < least) return undefined;
    if (proof.voids !== '' && positionOf(header) < voidedThrough(proof.voids, voidHash)) return undefined;
    const entry = decodeBody(header, proof.epoch);
    if (entry === undefined || entry.freshUntilMs <= proof.engineNowMs) return undefined;
    stats.farHits += 1;
    return entry.payload === null ? null : { reply };
  }
}

/** What every kind can do. */
abstract class Cached<A, V> {
  /** @internal */
  protected readonly structure: Structure<A, V>;
  readonly #keyOf: (argument: A) => string | number;

  /** @internal */
  constructor(structure: Structure<A, V>, keyOf: (argument: A) => string | number) {
    this.structure = structure;
    this.#keyOf = keyOf;
  }

  /** Counters of this structure. */
  get stats(): Definition<A, V>['stats'] {
    return this.structure.definition.stats;
  }

  /** The whole of it; null when there is none. As `get` of a definition. */
  get(argument: A): Promise<V | null> {
    return this.structure.definition.get(argument);
  }

  /** To be called after the commit of a change. As `invalidate` of a definition. */
  invalidate(argument: A): Promise<void> {
    return this.structure.definition.invalidate(argument);
  }

  /** A part: of what is cached, else of the whole that is loaded for it. */
  protected async read<P>(
    argument: A,
    command: readonly string[],
    { ofReply, ofWhole }: { readonly ofReply: (reply: unknown) => P; readonly ofWhole: (value: V) => P },
  ): Promise<P | null> {
    const part = await this.structure.part(String(this.#keyOf(argument)), command);
    if (part !== undefined) return part === null ? null : ofReply(part.reply);
    const value = await this.get(argument);
    return value === null ? null : ofWhole(value);
  }
}

export class CachedHash<A, V extends object> extends Cached<A, V> {
  /**
   * These fields, all of one version; null when there is no such thing. A field that it doesn't have is missing. One
   * round trip when cached. Rejects as `get` of a definition does.
   */
  fields<F extends keyof V & string>(argument: A, names: readonly F[]): Promise<Pick<V, F> | null> {
    if (names.length === 0 || names.length > maxPart) throw partSize('fields');
    return this.read(argument, ['HMGET', ...names.map((name) => `.${name}`)], {
      ofReply: (reply) => pick(names, (_, at) => parsed((reply as (string | null)[])[at])),
      ofWhole: (value) => pick(names, (name) => (Object.hasOwn(value, name) ? value[name] : undefined)),
    });
  }
}

export class CachedList<A, T> extends Cached<A, readonly T[]> {
  /** The first `count`, from 1 to 1,000; null when there is no such list. Else as `fields` of a hash. */
  first(argument: A, count: number): Promise<readonly T[] | null> {
    if (!isPart(count)) throw partSize('items');
    return this.read(argument, ['LRANGE', '1', String(count)], {
      ofReply: (reply) => (reply as string[]).map((item) => JSON.parse(item) as T),
      ofWhole: (value) => value.slice(0, count),
    });
  }
}

export class CachedSortedSet<A> extends Cached<A, readonly Scored[]> {
  /** Those with the greatest scores, `count` from 1 to 1,000; null when there is no such set. Else as `fields`. */
  top(argument: A, count: number): Promise<readonly Scored[] | null> {
    if (!isPart(count)) throw partSize('members');
    return this.read(argument, ['ZREVRANGE', '1', String(count), 'WITHSCORES'], {
      ofReply: scoredOf,
      ofWhole: (value) => value.slice(0, count),
    });
  }

  /** The scores of these members, undefined for those that aren't in it; null when there is no such set. */
  scores(argument: A, members: readonly string[]): Promise<(number | undefined)[] | null> {
    if (members.length === 0 || members.length > maxPart) throw partSize('members');
    return this.read(argument, ['ZMSCORE', ...members], {
      ofReply: (reply) =>
        (reply as (string | null)[]).map((score) => (score === null ? undefined : Number(score))),
      ofWhole: (value) => {
        const scores = new Map(value.map(({ member, score }) => [member, score]));
        return members.map((member) => scores.get(member));
      },
    });
  }
}

const maxPart = 1_000;

function isPart(count: number): boolean {
  return Number.isSafeInteger(count) && count >= 1 && count <= maxPart;
}

function partSize(what: string): CacheConfigError {
  return new CacheConfigError(`A part has 1 to ${maxPart} ${what}; \`get\` gives everything.`);
}

function parsed(text: string | null | undefined): unknown {
  return text === null || text === undefined ? undefined : JSON.parse(text);
}

function pick<V, F extends keyof V & string>(
  names: readonly F[],
  of: (name: F, at: number) => unknown,
): Pick<V, F> {
  const found = names
    .map((name, at) => [name, of(name, at)] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(found) as Pick<V, F>;
}
