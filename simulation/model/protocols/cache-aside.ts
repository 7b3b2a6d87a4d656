/**
 * Plain cache-aside: a miss loads and sets, a change event deletes.
 *
 * Invariant G0: once the invalidation of T was applied, no entry lacks T. It fails: a filler that read before the
 * event sets after it (R1), or reads after the event what isn't visible yet (R2).
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
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface State {
  database: Database;
  /** Events applied, in log order. */
  applied: number;
  invalidated: number;
  entry: number;
  fillers: Filler[];
}

export function cacheAside({ transactions, fillers }: Bounds): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        applied: 0,
        invalidated: 0,
        entry: none,
        fillers: idleFillers(fillers),
      },
    ],
    steps(state, take) {
      databaseSteps(state, take, { transactions });
      if (state.applied < state.database.logged) {
        take(`consumer: deletes the entry for T${state.applied + 1}`, (next) => {
          next.applied += 1;
          next.invalidated |= bit(next.applied);
          next.entry = none;
        });
      }
      for (const [index, filler] of state.fillers.entries()) fillerSteps(state, index, filler, take);
    },
    interchangeable: 'fillers',
    violation: ({ entry, invalidated }) => staleRead(entry, invalidated),
  };
}

function fillerSteps(state: State, index: number, filler: Filler, take: Take<State>): void {
  const who = nameOf(index);
  if (filler.phase === 0 && state.entry === none) {
    take(`${who}: misses`, (next) => {
      next.fillers[index]!.phase = 1;
    });
  }
  if (filler.phase === 1) {
    take(`${who}: loads ${named(state.database.visible)}`, (next) => {
      next.fillers[index]!.phase = 2;
      next.fillers[index]!.value = next.database.visible;
    });
  }
  if (filler.phase === 2) {
    take(`${who}: sets ${named(filler.value)}`, (next) => {
      next.entry = filler.value;
      retire(next.fillers[index]!);
    });
  }
}
