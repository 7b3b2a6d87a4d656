/**
 * Leaderboards: members by score, the greatest first.
 *
 * One board, with all its periods, lies in one slot, so a write to it is one step; boards spread over the partitions.
 * A period is a sorted set. Equal scores:
 *
 *   'shared'  the same rank for all, and the next one counts them: 1, 2, 2, 4. The set holds the members.
 *   'first'   who reached the score first is ahead. The set holds, before the member, a number that falls with every
 *             write: the engine orders equal scores by name, so the rank is still one look-up. `<key>#h` maps members
 *             to their number.
 */

import type { Cache } from '../cache.ts';
import { SharedTierError } from '../errors.ts';
import { Keyspace } from '../far/keyspace.ts';
import { checked, identifier } from './checks.ts';
import {
  boardAroundScript,
  boardPageScript,
  boardRankScript,
  boardRemoveScript,
  boardWriteScript,
} from './leaderboard-scripts.ts';
import { keptUntilMs, lastPeriods, type Period, type PeriodKind, periodOf } from './periods.ts';
import { type RebuildOptions, rebuild } from './rebuild.ts';

export interface LeaderboardOptions {
  /** Letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  readonly ties: 'shared' | 'first';
  /** Each write counts in all of them. Default all-time alone. */
  readonly periods?: readonly PeriodKind[];
  /** How many days, weeks and months are kept, with the running one. Default 8. */
  readonly keep?: number;
  /** Where days begin. Default 0, UTC. */
  readonly offsetMinutes?: number;
}

export interface BoardEntry {
  readonly member: string;
  readonly score: number;
  /** From 1. */
  readonly rank: number;
}

export interface Standing extends BoardEntry {
  /** Members of the board. */
  readonly total: number;
  /** Share of the other members that have a lower score, 0 to 100; 100 when there are none. */
  readonly percentile: number;
}

/** Which period, and when; without it the first of the board's periods, now by the engine's clock. */
export interface When {
  readonly period?: PeriodKind;
  readonly atMs?: number;
}

export interface WriteOptions {
  /** When it happened, ms since 1970; decides the periods. Default now by the engine's clock. */
  readonly atMs?: number;
  /** Its id in the database, for `rebuild`. At most 200 characters. */
  readonly event?: string;
}

type Mode = 'add' | 'max' | 'set';
type Write = readonly [mode: Mode, member: string, value: number];

const hashPart = '#h';
const maxPage = 1_000;

export class Leaderboard {
  readonly name: string;
  readonly #cache: Cache;
  readonly #keys: Keyspace;
  readonly #ties: 'shared' | 'first';
  readonly #periods: readonly PeriodKind[];
  readonly #keep: number;
  readonly #offsetMinutes: number;

  /** Throws CacheConfigError. */
  constructor(cache: Cache, options: LeaderboardOptions) {
    const { name, ties, periods = ['all'], keep = 8, offsetMinutes = 0 } = options;
    checked(identifier(name), '`name` takes 1 to 64 letters, digits, "_", "." and "-".');
    checked(ties === 'shared' || ties === 'first', "`ties` is 'shared' or 'first'.");
    const kinds = new Set<string>(periods);
    checked(
      periods.length > 0 &&
        kinds.size === periods.length &&
        [...kinds].every((kind) => ['day', 'week', 'month', 'all'].includes(kind)),
      "`periods` names some of 'day', 'week', 'month' and 'all', each once.",
    );
    checked(
      Number.isSafeInteger(keep) && keep >= 1 && keep <= 1_000,
      '`keep` is a whole number from 1 to 1,000.',
    );
    checked(
      Number.isSafeInteger(offsetMinutes) && Math.abs(offsetMinutes) <= 14 * 60,
      '`offsetMinutes` is a whole number from -840 to 840.',
    );
    this.name = name;
    this.#cache = cache;
    this.#keys = new Keyspace(cache.internals, `#b:${name}:`, 0);
    this.#ties = ties;
    this.#periods = periods;
    this.#keep = keep;
    this.#offsetMinutes = offsetMinutes;
  }

  /**
   * Adds to a member's score, in every period; from 0 when it has none. Resolves with the new score by period. One
   * round trip. Rejects with SharedTierError: it may have been counted or not.
   */
  increment(
    board: string,
    member: string,
    by: number,
    options?: WriteOptions,
  ): Promise<Partial<Record<PeriodKind, number>>> {
    return this.#write(board, ['add', member, by], options);
  }

  /** Keeps the greater one of the member's score and this. Safe to repeat. Else as `increment`. */
  raise(
    board: string,
    member: string,
    to: number,
    options?: WriteOptions,
  ): Promise<Partial<Record<PeriodKind, number>>> {
    return this.#write(board, ['max', member, to], options);
  }

  /** Replaces the member's score. Safe to repeat. Else as `increment`. */
  set(
    board: string,
    member: string,
    to: number,
    options?: WriteOptions,
  ): Promise<Partial<Record<PeriodKind, number>>> {
    return this.#write(board, ['set', member, to], options);
  }

  /** Takes a member out of every kept period. One round trip. A rebuild that is under way may bring it back. */
  async remove(board: string, member: string): Promise<void> {
    const spot = this.#keys.spot(checkBoard(board));
    const atMs = this.#now(spot.partition);
    const keys = this.#periods.flatMap((kind) =>
      lastPeriods(kind, { atMs, offsetMinutes: this.#offsetMinutes, count: this.#keep }).flatMap((period) => {
        const key = `${spot.key}:${period.id}`;
        return [key, key + hashPart];
      }),
    );
    await this.#keys.run(spot.partition, boardRemoveScript, {
      keys,
      args: [this.#ties, checkMember(member)],
    });
  }

  /** The best ones, or those from `offset` on. At most 1,000 at a time. One round trip. */
  async top(
    board: string,
    { count = 10, offset = 0, ...when }: When & { readonly count?: number; readonly offset?: number } = {},
  ): Promise<BoardEntry[]> {
    checked(
      isCount(count) && count >= 1 && isCount(offset),
      `\`count\` is from 1 to ${maxPage}, \`offset\` from 0.`,
    );
    const { partition, key } = this.#place(board, when);
    const args = [this.#ties, String(offset), String(offset + Math.min(count, maxPage) - 1)];
    return this.#entries(await this.#keys.run(partition, boardPageScript, { keys: [key], args }));
  }

  /** The member among its neighbours, best first; empty when it isn't there. One round trip. */
  async around(
    board: string,
    member: string,
    { before = 5, after = 5, ...when }: When & { readonly before?: number; readonly after?: number } = {},
  ): Promise<BoardEntry[]> {
    checked(
      isCount(before) && isCount(after) && before + after < maxPage,
      `\`before\` and \`after\` are from 0, below ${maxPage} together.`,
    );
    const { partition, key } = this.#place(board, when);
    const args = [this.#ties, checkMember(member), String(before), String(after)];
    return this.#entries(
      await this.#keys.run(partition, boardAroundScript, { keys: [key, key + hashPart], args }),
    );
  }

  /** Where one member stands; undefined when it isn't there. One round trip. */
  async rank(board: string, member: string, when: When = {}): Promise<Standing | undefined> {
    const { partition, key } = this.#place(board, when);
    const args = [this.#ties, checkMember(member)];
    const reply = (await this.#keys.run(partition, boardRankScript, {
      keys: [key, key + hashPart],
      args,
    })) as readonly (string | number)[];
    if (reply.length === 0) return undefined;
    const [score, ahead, lower, total] = reply.map(Number) as [number, number, number, number];
    const percentile = total === 1 ? 100 : (100 * lower) / (total - 1);
    return { member, score, rank: ahead + 1, total, percentile };
  }

  /**
   * Puts what the database says in place of one period of a board: rows of member and score, each member once. See
   * rebuild.ts for what happens to writes meanwhile. Rejects with RebuildRunningError, SharedTierError, and with what
   * the rows threw. Costs one round trip per 500 rows. With ties 'first', rows of one score come in their order.
   */
  async rebuild(
    board: string,
    rows:
      | AsyncIterable<readonly [member: string, score: number]>
      | Iterable<readonly [member: string, score: number]>,
    { contains, ...when }: RebuildOptions & When = {},
  ): Promise<void> {
    const { partition, key, period } = this.#place(board, when);
    const write = (to: string, writes: readonly Write[]): Promise<unknown> =>
      this.#keys.run(partition, boardWriteScript, {
        keys: [to, to + hashPart],
        args: [this.#ties, '', '0', ...flat(writes)],
      });
    await rebuild<readonly [string, number], Write>(
      {
        keys: this.#keys,
        spot: { partition, key },
        parts: ['', hashPart],
        untilMs: this.#untilMs(period),
        rows,
        fill: (to, some) =>
          write(
            to,
            some.map(([member, score]): Write => ['set', checkMember(member), checkScore(score)]),
          ),
        replay: write,
      },
      contains === undefined ? {} : { contains },
    );
  }

  async #write(
    board: string,
    [mode, member, value]: Write,
    { atMs, event }: WriteOptions = {},
  ): Promise<Partial<Record<PeriodKind, number>>> {
    const spot = this.#keys.spot(checkBoard(board));
    const { partition } = spot;
    const write: Write = [mode, checkMember(member), checkScore(value)];
    checked(
      event === undefined || (typeof event === 'string' && event.length <= 200),
      'The id of an event has at most 200 characters.',
    );
    const at = atMs ?? this.#now(partition);
    const periods = this.#periods.map((kind) => periodOf(kind, at, this.#offsetMinutes));
    const keys = periods.flatMap((period) => {
      const key = `${spot.key}:${period.id}`;
      return [key, key + hashPart];
    });
    const untils = periods.map((period) => String(this.#untilMs(period)));
    const noted = JSON.stringify({ event, write });
    const args = [this.#ties, noted, ...untils, ...flat([write])];
    const scores = (await this.#keys.run(partition, boardWriteScript, { keys, args })) as readonly string[];
    return Object.fromEntries(periods.map(({ kind }, index) => [kind, Number(scores[index])]));
  }

  #place(board: string, { period: kind = this.#periods[0]!, atMs }: When) {
    checked(this.#periods.includes(kind), `Board ${this.name} has no period "${kind}".`);
    const { partition, key } = this.#keys.spot(checkBoard(board));
    const period = periodOf(kind, atMs ?? (kind === 'all' ? 0 : this.#now(partition)), this.#offsetMinutes);
    return { partition, key: `${key}:${period.id}`, period };
  }

  #now(partition: Parameters<Keyspace['run']>[0]): number {
    const nowMs = partition.clock.engineNowMs(this.#cache.internals.clock.nowMs());
    if (Number.isNaN(nowMs))
      throw new SharedTierError('The shared tier is down: what time it is there is unknown.');
    return nowMs;
  }

  #untilMs(period: Period): number {
    const untilMs = keptUntilMs(period, { keep: this.#keep, offsetMinutes: this.#offsetMinutes });
    return untilMs === Number.POSITIVE_INFINITY ? 0 : untilMs;
  }

  /** From: index of the first, members with a greater score than its, then name, score, … */
  #entries(reply: unknown): BoardEntry[] {
    const [start = 0, ahead = 0, ...pairs] = reply as readonly (string | number)[];
    const entries: BoardEntry[] = [];
    for (let at = 0; at < pairs.length; at += 2) {
      const index = Number(start) + at / 2;
      const score = Number(pairs[at + 1]);
      const last = entries.at(-1);
      const own = last === undefined ? Number(ahead) + 1 : last.score === score ? last.rank : index + 1;
      const rank = this.#ties === 'first' ? index + 1 : own;
      const name = String(pairs[at]);
      entries.push({ member: this.#ties === 'first' ? name.slice(orderLength) : name, score, rank });
    }
    return entries;
  }
}

/** Of the number before a member. */
const orderLength = 15;

function flat(writes: readonly Write[]): string[] {
  return writes.flatMap(([mode, member, value]) => [mode, member, String(value)]);
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function checkBoard(board: string): string {
  checked(
    typeof board === 'string' && board.length > 0 && board.length <= 200,
    'The name of a board has 1 to 200 characters.',
  );
  return board;
}

function checkMember(member: string): string {
  checked(
    typeof member === 'string' && member.length > 0 && member.length <= 512,
    'A member is a text of 1 to 512 characters.',
  );
  return member;
}

function checkScore(score: number): number {
  checked(Number.isFinite(score), 'A score is a finite number.');
  return score;
}
