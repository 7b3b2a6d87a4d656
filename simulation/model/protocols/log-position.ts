/**
 * Tokens that are log positions: the loader asks the database for its position, the engine stamps the key with the
 * position of its newest invalidation, and a fill is accepted when its token has reached the stamp.
 *
 * Invariant G0: once the invalidation of T was applied, no entry lacks T. On a primary it fails whether the position
 * is read before or after the row: a commit is in the log before it is visible (R3, R6). On a standby the replay
 * position is right, if it is read first: there visible means replayed.
 */
import type { Model } from '../checker.ts';
import {
  type Bounds,
  bit,
  type Database,
  databaseSteps,
  emptyDatabase,
  named,
  rowSeen,
  staleRead,
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface State {
  database: Database;
  applied: number;
  invalidated: number;
  stamp: number;
  entry: number;
  fillers: Filler[];
}

export interface LogPositionOptions {
  readonly server: 'primary' | 'replica';
  /** The position is asked for before or after the row is read. */
  readonly asked: 'before' | 'after';
}

export function logPosition(
  { transactions, fillers }: Bounds,
  { server, asked }: LogPositionOptions,
): Model<State> {
  const positionOf = ({ logged, replayed }: Database): number => (server === 'primary' ? logged : replayed);
  return {
    initial: [
      {
        database: emptyDatabase(),
        applied: 0,
        invalidated: 0,
        stamp: 0,
        entry: none,
        fillers: idleFillers(fillers),
      },
    ],
    steps(state, take) {
      const { database } = state;
      databaseSteps(state, take, { transactions, replica: server === 'replica' });
      if (state.applied < database.logged) {
        const following = state.applied + 1;
        take(`consumer: deletes the entry and stamps ${following}, for T${following}`, (next) => {
          next.applied = following;
          next.stamp = following;
          next.invalidated |= bit(following);
          next.entry = none;
        });
      }
      for (const [index, filler] of state.fillers.entries()) {
        const who = nameOf(index);
        const ask = (): void =>
          take(`${who}: asks the ${server} for its position: ${positionOf(database)}`, (next) => {
            next.fillers[index]!.phase += 1;
            next.fillers[index]!.token = [positionOf(database)];
          });
        const load = (): void =>
          take(`${who}: loads ${named(rowSeen(database, server))}`, (next) => {
            next.fillers[index]!.phase += 1;
            next.fillers[index]!.value = rowSeen(database, server);
          });
        if (filler.phase === 0 && state.entry === none) asked === 'before' ? ask() : load();
        if (filler.phase === 1) asked === 'before' ? load() : ask();
        if (filler.phase === 2) {
          const accepted = state.stamp <= filler.token[0]!;
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
