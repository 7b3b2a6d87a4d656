/**
 * Definitions that only applications invalidate: a token is the bucket's generation, an invalidation moves it.
 *
 * Invariant G0: once the invalidation of T was applied and T's COMMIT has returned, no entry lacks T. It holds when
 * the application invalidates after its commit, and fails when it does so before (R7): the entry comes back between.
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
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface State {
  database: Database;
  generation: number;
  invalidated: number;
  entry: number;
  fillers: Filler[];
}

export function generation(
  { transactions, fillers }: Bounds,
  { invalidates }: { readonly invalidates: 'after commit' | 'before commit' },
): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        generation: 0,
        invalidated: 0,
        entry: none,
        fillers: idleFillers(fillers),
      },
    ],
    steps(state, take) {
      const { visible, logged } = state.database;
      databaseSteps(state, take, { transactions });
      for (let t = 1; t <= transactions; t += 1) {
        if ((state.invalidated & bit(t)) !== 0) continue;
        const due = invalidates === 'after commit' ? (visible & bit(t)) !== 0 : t > logged;
        if (!due) continue;
        take(`application of T${t}: invalidates ${invalidates}`, (next) => {
          next.generation += 1;
          next.invalidated |= bit(t);
          next.entry = none;
        });
      }
      for (const [index, filler] of state.fillers.entries()) {
        const who = nameOf(index);
        if (filler.phase === 0 && state.entry === none) {
          take(`${who}: misses; token: generation ${state.generation}`, (next) => {
            next.fillers[index]!.phase = 1;
            next.fillers[index]!.token = [next.generation];
          });
        }
        if (filler.phase === 1) {
          take(`${who}: loads ${named(visible)}`, (next) => {
            next.fillers[index]!.phase = 2;
            next.fillers[index]!.value = visible;
          });
        }
        if (filler.phase === 2) {
          const accepted = state.generation === filler.token[0];
          take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
            if (accepted) next.entry = filler.value;
            retire(next.fillers[index]!);
          });
        }
      }
    },
    interchangeable: 'fillers',
    violation: ({ entry, invalidated, database }) => staleRead(entry, invalidated & database.visible),
  };
}
