/** How each kind of structure is written down, and read back as a whole. Pure. */
import { CacheValueError } from '../errors.ts';

export interface Scored {
  readonly member: string;
  readonly score: number;
}

export interface Shape {
  readonly kind: 'hash' | 'list' | 'zset';
  /** A command and its arguments that read everything. */
  readonly whole: readonly string[];
  /** What the loader gave, as it will be read. Throws CacheValueError. */
  canonical(definition: string, value: unknown): unknown;
  /** JSON of a canonical value, as arguments of the fill. */
  elements(json: string): readonly string[];
  /** The JSON back from what `whole` gave. */
  json(reply: unknown): string;
}

/** More in one step would hold up other clients of the engine. */
const maxElements = 50_000;

function refuse(definition: string, what: string): never {
  throw new CacheValueError(`The loader of ${definition} must give ${what}.`);
}

export const hashShape: Shape = {
  kind: 'hash',
  whole: ['HGETALL'],
  canonical(definition, value) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(definition, 'an object');
    if (Object.keys(value).length > maxElements) refuse(definition, `at most ${maxElements} fields`);
    return value;
  },
  elements: (json) =>
    Object.entries(JSON.parse(json) as object).flatMap(([field, value]) => [
      `.${field}`,
      JSON.stringify(value),
    ]),
  json(reply) {
    const flat = reply as readonly string[];
    const parts: string[] = [];
    for (let at = 0; at < flat.length; at += 2) {
      if (flat[at] !== '#') parts.push(`${JSON.stringify(flat[at]!.slice(1))}:${flat[at + 1]}`);
    }
    return `{${parts.join(',')}}`;
  },
};

export const listShape: Shape = {
  kind: 'list',
  whole: ['LRANGE', '1', '-1'],
  canonical(definition, value) {
    if (!Array.isArray(value) || value.length > maxElements) {
      refuse(definition, `an array of at most ${maxElements} items`);
    }
    return value;
  },
  elements: (json) => (JSON.parse(json) as unknown[]).map((item) => JSON.stringify(item)),
  json: (reply) => `[${(reply as readonly string[]).join(',')}]`,
};

export const sortedSetShape: Shape = {
  kind: 'zset',
  whole: ['ZREVRANGE', '1', '-1', 'WITHSCORES'],
  canonical(definition, value) {
    const fits = (each: unknown): each is Scored => {
      const { member, score } = (each ?? {}) as Partial<Scored>;
      return typeof member === 'string' && !member.startsWith('\0') && Number.isFinite(score);
    };
    if (!Array.isArray(value) || value.length > maxElements || !value.every(fits)) {
      refuse(
        definition,
        `an array of at most ${maxElements} { member, score }: texts that don't begin with NUL, and finite numbers`,
      );
    }
    // Of the same member the last one counts; the order is the engine's.
    const scores = new Map(value.map(({ member, score }) => [member, score]));
    return [...scores]
      .map(([member, score]): Scored => ({ member, score }))
      .sort((x, y) => y.score - x.score || Buffer.compare(Buffer.from(y.member), Buffer.from(x.member)));
  },
  elements: (json) => (JSON.parse(json) as Scored[]).flatMap(({ member, score }) => [String(score), member]),
  json: (reply) => JSON.stringify(scoredOf(reply)),
};

/** From member, score, … */
export function scoredOf(reply: unknown): Scored[] {
  const flat = reply as readonly string[];
  return Array.from({ length: flat.length / 2 }, (_, at) => ({
    member: flat[2 * at]!,
    score: Number(flat[2 * at + 1]),
  }));
}
