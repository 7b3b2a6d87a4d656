/**
 * Leases (memcached, rockscache): a miss takes a lease, an invalidation voids it, only its holder may fill.
 *
 * Invariant G0: once the invalidation of T was applied, no entry lacks T. It holds only when every invalidation is
 * held back until T is visible to whatever the loaders read: the gate. Without one the event may come first, the
 * next lease is taken after it, and its holder still reads the old row (R2); a gate on the primary doesn't help
 * loaders that read a lagging replica (R5).
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
  entry: number;
  /** Number of the lease in force; 0 when there is none. Numbers never repeat. */
  lease: number;
  leases: number;
  fillers: Filler[];
}

export interface LeaseOptions {
  /** What must show T before its invalidation is applied. */
  readonly gate: 'none' | 'primary' | 'replica';
  readonly loadsFrom: 'primary' | 'replica';
}

export function lease({ transactions, fillers }: Bounds, { gate, loadsFrom }: LeaseOptions): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        applied: 0,
        invalidated: 0,
        entry: none,
        lease: 0,
        leases: 0,
        fillers: idleFillers(fillers),
      },
    ],
    steps(state, take) {
      const { database } = state;
      databaseSteps(state, take, { transactions, replica: loadsFrom === 'replica' });
      const following = state.applied + 1;
      const open = gate === 'none' || (rowSeen(database, gate) & bit(following)) !== 0;
      if (state.applied < database.logged && open) {
        take(`consumer: deletes the entry and voids the lease, for T${following}`, (next) => {
          next.applied = following;
          next.invalidated |= bit(following);
          next.entry = none;
          next.lease = 0;
        });
      }
      for (const [index, filler] of state.fillers.entries()) {
        const who = nameOf(index);
        if (filler.phase === 0 && state.entry === none && state.lease === 0) {
          take(`${who}: misses and takes the lease`, (next) => {
            next.leases += 1;
            next.lease = next.leases;
            next.fillers[index]!.phase = 1;
            next.fillers[index]!.token = [next.lease];
          });
        }
        if (filler.phase === 1) {
          take(`${who}: loads ${named(rowSeen(database, loadsFrom))} from the ${loadsFrom}`, (next) => {
            next.fillers[index]!.phase = 2;
            next.fillers[index]!.value = rowSeen(database, loadsFrom);
          });
        }
        if (filler.phase === 2) {
          const accepted = state.lease === filler.token[0];
          take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
            if (accepted) {
              next.entry = filler.value;
              next.lease = 0;
            }
            retire(next.fillers[index]!);
          });
        }
      }
    },
    interchangeable: 'fillers',
    violation: ({ entry, invalidated }) => staleRead(entry, invalidated),
  };
}
