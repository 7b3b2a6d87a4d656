/**
 * Writers who want no stale read once their COMMIT has returned. Inside the transaction, before COMMIT, the writer
 * removes the entry and marks its own transaction as pending; fills are refused while anything is pending. The change
 * event replaces the mark by a stamp; a rollback takes it back.
 *
 * Invariant, stronger than G0: once T is visible, no entry lacks T. It holds with the mark, and fails for a plain
 * delete before COMMIT: a filler puts the old row back before T is visible (R7).
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
  visiblePrefix,
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface State {
  database: Database;
  applied: number;
  watermark: number;
  stamp: number;
  /** Bits of writers that have removed the entry; a writer commits only after that. */
  prepared: number;
  /** Bits of pending transactions. */
  pending: number;
  /** A writer that will roll back: 0 not begun, 1 pending, 2 over. */
  rollback: number;
  entry: number;
  fillers: Filler[];
}

export function strictWriter(bounds: Bounds, { marks }: { readonly marks: boolean }): Model<State> {
  const doomed = bit(bounds.transactions + 1);
  return {
    initial: [
      {
        database: emptyDatabase(),
        applied: 0,
        watermark: 0,
        stamp: 0,
        prepared: 0,
        pending: 0,
        rollback: 0,
        entry: none,
        fillers: idleFillers(bounds.fillers),
      },
    ],
    steps(state, take) {
      const { database, prepared } = state;
      // The database commits only what its writer has prepared.
      const ready = (prepared & bit(database.logged + 1)) !== 0 ? bounds.transactions : database.logged;
      databaseSteps(state, take, { transactions: ready });
      for (let t = 1; t <= bounds.transactions; t += 1) {
        if ((prepared & bit(t)) !== 0) continue;
        take(
          `writer of T${t}: ${marks ? 'removes the entry, marks T pending' : 'deletes the entry'}`,
          (next) => {
            next.prepared |= bit(t);
            if (marks) next.pending |= bit(t);
            next.entry = none;
          },
        );
      }
      if (marks && state.rollback < 2) {
        const begins = state.rollback === 0;
        take(`another writer: ${begins ? 'removes the entry, marks itself' : 'rolls back'}`, (next) => {
          next.rollback += 1;
          if (begins) {
            next.pending |= doomed;
            next.entry = none;
          } else next.pending &= ~doomed;
        });
      }
      feedSteps(state, take);
      for (const [index, filler] of state.fillers.entries()) fillerSteps(state, index, filler, take);
    },
    interchangeable: 'fillers',
    violation: ({ entry, database }) => staleRead(entry, database.visible),
  };
}

function feedSteps(state: State, take: Take<State>): void {
  const { database, applied } = state;
  if (applied < database.logged) {
    const position = applied + 1;
    take(`consumer: deletes the entry, stamps ${position}, takes T${position}'s mark back`, (next) => {
      next.applied = position;
      next.stamp = position;
      next.pending &= ~bit(position);
      next.entry = none;
    });
  }
  const through = Math.min(applied, visiblePrefix(database.visible));
  if (through > state.watermark) {
    take(`consumer: publishes the watermark ${through}`, (next) => {
      next.watermark = through;
    });
  }
}

function fillerSteps(state: State, index: number, filler: Filler, take: Take<State>): void {
  const who = nameOf(index);
  if (filler.phase === 0 && state.entry === none) {
    take(`${who}: misses; token ${state.watermark}`, (next) => {
      next.fillers[index]!.phase = 1;
      next.fillers[index]!.token = [state.watermark];
    });
  }
  if (filler.phase === 1) {
    take(`${who}: loads ${named(state.database.visible)}`, (next) => {
      next.fillers[index]!.phase = 2;
      next.fillers[index]!.value = state.database.visible;
    });
  }
  if (filler.phase === 2) {
    const accepted = state.pending === 0 && filler.token[0]! >= state.stamp;
    take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
      if (accepted) next.entry = filler.value;
      retire(next.fillers[index]!);
    });
  }
}
