/**
 * Keys and their values, with times to live on the engine's clock. Names and members are kept as text with one
 * character per byte, so any bytes are good; values of strings stay bytes, and are changed in place.
 */
import { wrongType } from './reply.ts';

export type Value =
  | { readonly type: 'string'; bytes: Buffer }
  | { readonly type: 'hash'; readonly fields: Map<string, Buffer> }
  | { readonly type: 'set'; readonly members: Set<string> }
  /** HyperLogLogs are exact sets here: they never err, where the engine's err by a percent or so. */
  | { readonly type: 'hyperloglog'; readonly members: Set<string> }
  | { readonly type: 'zset'; readonly scores: Map<string, number> }
  | { readonly type: 'list'; items: Buffer[] };

type Typed<T extends Value['type']> = Extract<Value, { readonly type: T }>;

interface Kept {
  readonly value: Value;
  expiresAtMs: number;
}

export class Keyspace {
  readonly #kept = new Map<string, Kept>();
  readonly #nowMs: () => number;

  /** @param nowMs the engine's clock, ms since 1970. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  get(key: string): Value | undefined {
    return this.#living(key)?.value;
  }

  /** Throws WRONGTYPE. */
  typed<T extends Value['type']>(key: string, type: T): Typed<T> | undefined {
    const value = this.get(key);
    if (value !== undefined && value.type !== type) throw wrongType();
    return value as Typed<T> | undefined;
  }

  /** The value, made by `create` when there is none. Throws WRONGTYPE. */
  ensure<T extends Value['type']>(key: string, type: T, create: () => Typed<T>): Typed<T> {
    const present = this.typed(key, type);
    if (present !== undefined) return present;
    const created = create();
    this.set(key, created);
    return created;
  }

  /** @param expiresAtMs Infinity for never. */
  set(key: string, value: Value, expiresAtMs = Number.POSITIVE_INFINITY): void {
    this.#kept.set(key, { value, expiresAtMs });
  }

  delete(key: string): boolean {
    const living = this.#living(key) !== undefined;
    this.#kept.delete(key);
    return living;
  }

  /** Infinity: never; undefined: no such key. */
  expiresAtMs(key: string): number | undefined {
    return this.#living(key)?.expiresAtMs;
  }

  expire(key: string, atMs: number): boolean {
    const kept = this.#living(key);
    if (kept === undefined) return false;
    if (atMs <= this.#nowMs()) this.#kept.delete(key);
    else kept.expiresAtMs = atMs;
    return true;
  }

  keys(): string[] {
    return [...this.#kept.keys()].filter((key) => this.#living(key) !== undefined);
  }

  clear(): void {
    this.#kept.clear();
  }

  /** As a full synchronisation makes it. */
  copyFrom(other: Keyspace): void {
    this.#kept.clear();
    for (const [key, { value, expiresAtMs }] of other.#kept) {
      this.#kept.set(key, { value: copyOf(value), expiresAtMs });
    }
  }

  #living(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (kept.expiresAtMs > this.#nowMs()) return kept;
    this.#kept.delete(key);
    return undefined;
  }
}

function copyOf(value: Value): Value {
  switch (value.type) {
    case 'string':
      return { type: 'string', bytes: Buffer.from(value.bytes) };
    case 'hash':
      return { type: 'hash', fields: new Map(value.fields) };
    case 'set':
    case 'hyperloglog':
      return { type: value.type, members: new Set(value.members) };
    case 'zset':
      return { type: 'zset', scores: new Map(value.scores) };
    case 'list':
      return { type: 'list', items: [...value.items] };
  }
}
