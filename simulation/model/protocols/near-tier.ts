/**
 * The near tier over a far tier that is right (protocols/watermark.ts): sessions, sequence numbers, beats, as in
 * far/partition-state.ts, near/near-tier.ts and read-path.ts `keepNear`.
 *
 * Every message carries the number of invalidations so far. A near entry is kept only if no invalidation of its key
 * was heard, and the session didn't end, since its far step was sent; it is served only while a beat of its session
 * proves that everything before was heard. A missing number ends the session.
 *
 * Invariant: once a message was processed that carries number n, or a later one, no near read returns a value that
 * lacks a transaction whose invalidation has a number up to n. It fails without the check (R20), when the message may
 * leave before the removal, and when a message is lost and nobody counts (R21).
 */
import type { Model, Take } from '../checker.ts';
import {
  type Bounds,
  bit,
  type Database,
  databaseSteps,
  emptyDatabase,
  named,
  staleRead,
  upTo,
} from '../database.ts';
import { none } from '../filler.ts';

interface Message {
  sequence: number;
  /** The transaction it invalidates for; 0 for a beat. */
  transaction: number;
}

interface State {
  database: Database;
  entry: number;
  /** Of the key's transactions, the one with sequence number n was the n-th applied. */
  applied: number;
  /** Told to near tiers but not yet removed, where those are two steps. */
  announced: number;
  beats: number;
  messages: Message[];
  near: {
    entry: number;
    entrySession: number;
    session: number;
    subscribed: boolean;
    /** The last number heard; -1 before the first of a subscription. */
    sequence: number;
    /** A beat of this session was heard. */
    proven: boolean;
  };
  /** Transactions that a processed message obliges the near tier to know. */
  heard: number;
  lost: number;
  reconnects: number;
  readers: { phase: number; session: number; stale: boolean; value: number }[];
}

export interface NearOptions {
  readonly check: 'session' | 'none';
  readonly order: 'removal with message' | 'message before removal';
  readonly countsGaps: boolean;
  /** Is what is read before the subscription's first message kept? Then nobody knows the number it began at. */
  readonly trustsUnnumbered: boolean;
  readonly losses: number;
  readonly reorders: boolean;
  readonly reconnects: number;
}

export const ours: NearOptions = {
  check: 'session',
  order: 'removal with message',
  countsGaps: true,
  trustsUnnumbered: false,
  losses: 0,
  reorders: false,
  reconnects: 0,
};

const mostBeats = 2;

export function nearTier(bounds: Bounds, options: NearOptions): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        entry: none,
        applied: 0,
        announced: 0,
        beats: 0,
        messages: [],
        near: {
          entry: none,
          entrySession: 0,
          session: 1,
          subscribed: true,
          sequence: options.trustsUnnumbered ? -1 : 0,
          proven: false,
        },
        heard: 0,
        lost: 0,
        reconnects: 0,
        readers: Array.from({ length: bounds.fillers }, () => ({
          phase: 0,
          session: 0,
          stale: false,
          value: none,
        })),
      },
    ],
    steps(state, take) {
      databaseSteps(state, take, bounds);
      farSteps(state, take, options);
      channelSteps(state, take, options);
      for (const index of state.readers.keys()) readerSteps(state, index, take, options);
    },
    interchangeable: 'readers',
    violation: ({ near, heard }) =>
      near.entrySession === near.session && near.proven ? staleRead(near.entry, heard) : undefined,
  };
}

function publish(state: State, message: Message): void {
  if (state.near.subscribed) state.messages.push(message);
}

function farSteps(state: State, take: Take<State>, { order }: NearOptions): void {
  const apart = order === 'message before removal';
  if (apart && state.announced === state.applied && state.announced < state.database.logged) {
    take(`consumer: tells near tiers of T${state.announced + 1}`, (next) => {
      next.announced += 1;
      publish(next, { sequence: next.announced, transaction: next.announced });
    });
  }
  const due = apart ? state.announced : state.database.logged;
  if (state.applied < due) {
    const t = state.applied + 1;
    take(`consumer: removes the far entry for T${t}${apart ? '' : ' and tells near tiers'}`, (next) => {
      next.applied = t;
      next.entry = none;
      if (!apart) publish(next, { sequence: t, transaction: t });
    });
  }
  if (state.beats < mostBeats && state.announced <= state.applied) {
    take(`consumer: beats, with number ${state.applied}`, (next) => {
      next.beats += 1;
      publish(next, { sequence: next.applied, transaction: 0 });
    });
  }
}

function channelSteps(state: State, take: Take<State>, options: NearOptions): void {
  const { messages, near } = state;
  for (const [index, { sequence, transaction }] of messages.entries()) {
    const what =
      transaction === 0 ? `the beat with number ${sequence}` : `the invalidation for T${transaction}`;
    if (index === 0 || options.reorders) {
      take(`near tier: processes ${what}`, (next) => {
        next.messages.splice(index, 1);
        process(next, { sequence, transaction }, options);
      });
    }
    if (state.lost < options.losses) {
      take(`fault: ${what} is lost`, (next) => {
        next.lost += 1;
        next.messages.splice(index, 1);
      });
    }
  }
  if (near.subscribed && state.reconnects < options.reconnects) {
    take('fault: the subscription breaks', (next) => {
      next.reconnects += 1;
      next.messages = [];
      next.near.subscribed = false;
      flush(next);
    });
  }
  if (!near.subscribed) {
    take('near tier: subscribes again', (next) => {
      next.near.subscribed = true;
      next.near.sequence = -1;
      flush(next);
    });
  }
}

function flush(state: State): void {
  state.near.session += 1;
  state.near.proven = false;
  for (const reader of state.readers) reader.stale = true;
}

function process(state: State, { sequence, transaction }: Message, { countsGaps }: NearOptions): void {
  const { near } = state;
  const expected = near.sequence + (transaction === 0 ? 0 : 1);
  if (countsGaps && near.sequence !== -1 && sequence !== expected) flush(state);
  near.sequence = sequence;
  // Messages travel behind their removals: this one vouches for all numbers up to its own.
  for (let t = 1; t <= sequence; t += 1) state.heard |= bit(t);
  if (transaction === 0) {
    near.proven = true;
    return;
  }
  near.entry = none;
  for (const reader of state.readers) reader.stale = true;
}

function readerSteps(state: State, index: number, take: Take<State>, options: NearOptions): void {
  const reader = state.readers[index]!;
  const { near, entry, database } = state;
  const who = `reader ${'AB'[index] ?? String(index)}`;
  if (reader.phase === 0) {
    take(`${who}: sends its far read`, (next) => {
      const numbered = near.subscribed && (options.trustsUnnumbered || near.sequence !== -1);
      Object.assign(next.readers[index]!, { phase: 1, session: numbered ? near.session : -1, stale: false });
    });
  }
  if (reader.phase === 1 && entry !== none) {
    take(`${who}: the engine answers with ${named(entry)}`, (next) => {
      Object.assign(next.readers[index]!, { phase: 2, value: entry });
    });
  }
  const needed = upTo(state.applied);
  if (reader.phase === 1 && entry === none && (database.visible & needed) === needed) {
    take(`${who}: loads, and the engine accepts ${named(database.visible)}`, (next) => {
      next.entry = database.visible;
      Object.assign(next.readers[index]!, { phase: 2, value: database.visible });
    });
  }
  if (reader.phase === 2) {
    const kept = options.check === 'none' || (!reader.stale && reader.session === near.session);
    take(`${who}: hears the answer and ${kept ? 'keeps it near' : 'keeps nothing'}`, (next) => {
      if (kept) {
        next.near.entry = reader.value;
        next.near.entrySession = near.session;
      }
      Object.assign(next.readers[index]!, { phase: 3, session: 0, stale: false, value: none });
    });
  }
}
