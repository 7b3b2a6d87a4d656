/**
 * Entries that a framework fills by itself: it asks, makes the value on its own, and brings it some time later. What
 * they depend on, tags or tables, has a generation each: a text that stays until the tag is invalidated, or a row of
 * the table changes. An entry holds the generations that were current before its making began, and is served only
 * while they still are. So a value that was made before an invalidation never survives it, however late it is brought.
 *
 * Dependencies that are known only when the value is there are covered by one more generation, `revision`, which
 * every invalidation replaces first: if it is still what it was when the making began, nothing was invalidated
 * meanwhile. That needs a cache without near tier: messages about two keys may arrive in another order.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Cache } from '../cache.ts';
import type { Definition, Watch } from '../definition.ts';
import { fromPlain, toPlain } from './plain-value.ts';

interface Stored {
  readonly generations: Readonly<Record<string, string>>;
  readonly value: unknown;
}

/** What was current before a value's making began. */
export interface Ticket {
  readonly generations: Readonly<Record<string, string>>;
  readonly revision: string | undefined;
}

export interface Found {
  /** Undefined: nothing that may be served. */
  readonly value: unknown;
  readonly ticket: Ticket;
}

export interface GenerationEntriesOptions {
  readonly name: string;
  /** How long an entry is kept. */
  readonly keepMs: number;
  /** Longer entries, as JSON, are not kept. */
  readonly maxValueLength?: number;
  /** Whose rows end generations; those are named for their tables. */
  readonly tables?: readonly string[];
  /** Are there dependencies that aren't known when the making begins? */
  readonly lateDependencies?: boolean;
}

const generationMs = 2 ** 31 - 1;
const revision = 'revision';
const maxDependencies = 512;

export class GenerationEntries {
  readonly #entries: Definition<string, Stored>;
  readonly #generations: Definition<string, string>;
  readonly #handed = new Map<string, Stored>();
  readonly #lateDependencies: boolean;

  /** Throws CacheConfigError, also when a cache has this name already. */
  constructor(cache: Cache, options: GenerationEntriesOptions) {
    const { name, keepMs, maxValueLength, tables = [], lateDependencies = false } = options;
    this.#lateDependencies = lateDependencies;
    this.#entries = cache.define<string, Stored>({
      name: `${name}.entries`,
      key: (id) => id,
      // Only `keep` asks, with the value in hand.
      load: async (id) => this.#handed.get(id),
      freshMs: keepMs,
      absentMs: 1,
      ...(maxValueLength === undefined ? {} : { maxValueLength }),
    });
    const watches = tables.map((table): Watch => ({ table, key: () => hash(table) }));
    this.#generations = cache.define<string, string>({
      name: `${name}.generations`,
      key: hash,
      load: async () => randomUUID(),
      freshMs: generationMs,
      ...(watches.length === 0 ? {} : { watches }),
    });
  }

  /**
   * The value, if it may be served to somebody who depends on these as well, and the ticket for making a new one.
   * Never rejects: with the shared tier down there is no value.
   */
  async find(key: string, dependencies: readonly string[]): Promise<Found> {
    const [stored, ticket] = await Promise.all([this.#entries.peek(hash(key)), this.#ticket(dependencies)]);
    if (stored === undefined || stored === null) return { value: undefined, ticket };
    const names = Object.keys(stored.generations);
    const current = await Promise.all(names.map((name) => this.#generations.peek(name)));
    const serves =
      names.every((name, i) => current[i] === stored.generations[name]) &&
      dependencies.every((name) => Object.hasOwn(stored.generations, name));
    if (serves) return { value: fromPlain(stored.value), ticket };
    // Whoever asked with other dependencies will ask again: the next entry is to serve them as well.
    const others = names.filter((name) => !dependencies.includes(name));
    if (names.length + dependencies.length > maxDependencies || others.length === 0) {
      return { value: undefined, ticket };
    }
    return { value: undefined, ticket: await this.#ticket([...dependencies, ...others]) };
  }

  /**
   * Keeps a value that was made after `ticket`. Never rejects. False when something that it depends on was
   * invalidated meanwhile, when it can't be kept, or when the shared tier is down.
   */
  async keep(key: string, value: unknown, dependencies: readonly string[], ticket: Ticket): Promise<boolean> {
    const late = [...new Set(dependencies)].filter((name) => !Object.hasOwn(ticket.generations, name));
    if (late.length > 0 && (!this.#lateDependencies || late.length > maxDependencies)) return false;
    try {
      const generations = { ...ticket.generations, ...(await this.#lateGenerations(late, ticket)) };
      const stored = { generations, value: toPlain(value) };
      const id = hash(key);
      this.#handed.set(id, stored);
      try {
        await this.#entries.invalidate(id);
        await this.#entries.get(id);
      } finally {
        if (this.#handed.get(id) === stored) this.#handed.delete(id);
      }
      return true;
    } catch {
      // Whoever made the value has it, and isn't to be bothered with what became of the copy.
      return false;
    }
  }

  /**
   * Rejects with InvalidationPendingError when the shared tier did not confirm. It is then repeated until it does;
   * but a value whose making is under way may survive it, if its dependencies are late: call again.
   */
  async invalidate(dependencies: readonly string[]): Promise<void> {
    const end = (names: readonly string[]): Promise<PromiseSettledResult<void>[]> =>
      Promise.allSettled(names.map((name) => this.#generations.invalidate(name)));
    const first = this.#lateDependencies ? await end([revision]) : [];
    // Also when that failed, so that these are repeated, too.
    const outcomes = [...first, ...(await end(dependencies))];
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Rejects with InvalidationPendingError, as above. */
  remove(key: string): Promise<void> {
    return this.#entries.invalidate(hash(key));
  }

  /** Throws when something was invalidated since the ticket. */
  async #lateGenerations(names: readonly string[], ticket: Ticket): Promise<Record<string, string>> {
    if (names.length === 0) return {};
    const found = await this.#generations.many(names);
    // After the generations, and never out of a read that was under way before.
    const now = await this.#generations.peek(revision);
    if (typeof now !== 'string' || now !== ticket.revision) throw new Error('Something was invalidated.');
    return Object.fromEntries(names.map((name, i) => [name, String(found[i])]));
  }

  async #ticket(dependencies: readonly string[]): Promise<Ticket> {
    const names = [...new Set(dependencies)];
    const asked = this.#lateDependencies ? [...names, revision] : names;
    // A generation that can't be had is one that nothing else has: what is made with it is never served.
    const found = await this.#generations.many(asked).catch(() => asked.map(() => randomUUID()));
    const generations = Object.fromEntries(names.map((name, i) => [name, String(found[i])]));
    return { generations, revision: this.#lateDependencies ? String(found.at(-1)) : undefined };
  }
}

function hash(name: string): string {
  return createHash('sha256').update(name).digest('base64url');
}
