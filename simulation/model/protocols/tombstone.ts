/**
 * Stamps kept per key, as tombstones that expire (or are evicted), instead of in a table that stays.
 *
 * Invariant G0: once the invalidation of T was applied, no entry lacks T. It fails when an expired tombstone counts as
 * "never invalidated": a slow fill with an old token passes (R13, R14). A floor holds: when a tombstone goes, the
 * lowest token that is still accepted rises to its position.
 */
import type { Model } from '../checker.ts';
import {
  type Bounds,
  bit,
  type Database,
  databaseSteps,
  emptyDatabase,
  named,
  staleRead,
  visiblePrefix,
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface State {
  database: Database;
  applied: number;
  watermark: number;
  invalidated: number;
  /** Position in the key's tombstone; 0 when there is none. */
  tombstone: number;
  floor: number;
  entry: number;
  fillers: Filler[];
}

export function tombstone(
  { transactions, fillers }: Bounds,
  { floor: hasFloor }: { readonly floor: boolean },
): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        applied: 0,
        watermark: 0,
        invalidated: 0,
        tombstone: 0,
        floor: 0,
        entry: none,
        fillers: idleFillers(fillers),
      },
    ],
    steps(state, take) {
      const { database } = state;
      databaseSteps(state, take, { transactions });
      if (state.applied < database.logged) {
        const following = state.applied + 1;
        take(
          `consumer: deletes the entry and leaves a tombstone at ${following}, for T${following}`,
          (next) => {
            next.applied = following;
            next.tombstone = following;
            next.invalidated |= bit(following);
            next.entry = none;
          },
        );
      }
      const through = Math.min(state.applied, visiblePrefix(database.visible));
      if (through > state.watermark) {
        take(`consumer: publishes the watermark ${through}`, (next) => {
          next.watermark = through;
        });
      }
      if (state.tombstone !== 0) {
        take('engine: the tombstone expires', (next) => {
          if (hasFloor) next.floor = Math.max(next.floor, next.tombstone);
          next.tombstone = 0;
        });
      }
      for (const [index, filler] of state.fillers.entries()) {
        const who = nameOf(index);
        if (filler.phase === 0 && state.entry === none) {
          take(`${who}: misses; token ${state.watermark}`, (next) => {
            next.fillers[index]!.phase = 1;
            next.fillers[index]!.token = [state.watermark];
          });
        }
        if (filler.phase === 1) {
          take(`${who}: loads ${named(database.visible)}`, (next) => {
            next.fillers[index]!.phase = 2;
            next.fillers[index]!.value = database.visible;
          });
        }
        if (filler.phase === 2) {
          const token = filler.token[0]!;
          const accepted = token >= state.tombstone && token >= state.floor;
          take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
            if (accepted) next.entry = filler.value;
            retire(next.fillers[index]!);
          });
        }
      }
    },
    interchangeable: 'fillers',
    violation: ({ entry, invalidated }) => staleRead(entry, invalidated),
  };
}
