/**
 * Stamps that are transaction numbers, compared with the snapshot that the loader read under (facts: D1), and the
 * stamps of events that bring no position at all (a trigger, a queue, a Lambda).
 *
 * A transaction gets its number before it commits, in an order of its own. The token is a snapshot: xmin (every
 * number below is over), and exactly which later ones are visible.
 *
 * Invariant G0: once the invalidation of T was applied, no entry lacks T. A set of numbers tested exactly holds, and
 * so does the highest number tested against xmin. Keeping only the last number, or testing the highest exactly, loses
 * the transaction that is still invisible behind a visible one (R4).
 *
 * Without a number in the event, its handler takes a new one, N, when it hears of it: N is beyond T's, whether the
 * event came before, during or after T's commit, so a snapshot whose xmin has reached N sees T. Testing N exactly
 * is wrong: N's own short transaction is over at once.
 */
import type { Model, Take } from '../checker.ts';
import { type Bounds, bit, named, staleRead } from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface State {
  /** Of each transaction, in log order: 0 none yet, else the number it was given. */
  numbers: number[];
  nextNumber: number;
  logged: number;
  visible: number;
  applied: number;
  invalidated: number;
  /** Numbers stamped, as bits; of the forms that keep one number, one bit. */
  stamp: number;
  entry: number;
  fillers: Filler[];
}

export type StampForm =
  /** All numbers, each tested exactly. */
  | 'set'
  /** The highest, which xmin must have passed. */
  | 'highest below xmin'
  /** The highest, tested exactly. */
  | 'highest exactly'
  /** That of the last event, tested exactly. */
  | 'last exactly'
  /** A new number taken when the event comes, which xmin must have reached. */
  | 'new, reached by xmin'
  /** A new number taken when the event comes, tested exactly. */
  | 'new exactly';

export function transactionNumbers(
  { transactions, fillers }: Bounds,
  { form }: { readonly form: StampForm },
): Model<State> {
  const positionless = form.startsWith('new');
  return {
    initial: [
      {
        numbers: Array.from({ length: transactions }, () => 0),
        nextNumber: 1,
        logged: 0,
        visible: 0,
        applied: 0,
        invalidated: 0,
        stamp: 0,
        entry: none,
        fillers: idleFillers(fillers),
      },
    ],
    steps(state, take) {
      transactionSteps(state, take);
      for (let t = 1; t <= transactions; t += 1) {
        // An event with a position comes in log order after the commit record; one without comes whenever it likes.
        const due = positionless
          ? state.numbers[t - 1] !== 0 && (state.invalidated & bit(t)) === 0
          : t === state.applied + 1 && t <= state.logged;
        if (due) {
          take(`consumer: deletes the entry and stamps for T${t}`, (next) => {
            next.entry = none;
            next.applied += 1;
            next.invalidated |= bit(t);
            if (positionless) next.stamp = highest(next.stamp | (1 << next.nextNumber++));
            else next.stamp = stamped(form, next.stamp, next.numbers[t - 1]!);
          });
        }
      }
      for (const [index, filler] of state.fillers.entries()) fillerSteps(state, index, filler, form, take);
    },
    interchangeable: 'fillers',
    violation: ({ entry, invalidated, visible }) => {
      // An event before the commit obliges nobody yet: until T is visible there is nothing else to read.
      return staleRead(entry, invalidated & (positionless ? visible : -1));
    },
  };
}

function transactionSteps(state: State, take: Take<State>): void {
  for (const [index, number] of state.numbers.entries()) {
    const t = index + 1;
    if (number === 0) {
      take(`T${t} is given the number ${state.nextNumber}`, (next) => {
        next.numbers[index] = next.nextNumber++;
      });
      continue;
    }
    if (t === state.logged + 1) {
      take(`database: the commit record of T${t} (number ${number}) enters the log`, (next) => {
        next.logged = t;
      });
    }
    if (t <= state.logged && (state.visible & bit(t)) === 0) {
      take(`database: T${t} (number ${number}) becomes visible to new snapshots`, (next) => {
        next.visible |= bit(t);
      });
    }
  }
}

function fillerSteps(state: State, index: number, filler: Filler, form: StampForm, take: Take<State>): void {
  const who = nameOf(index);
  if (filler.phase === 0 && state.entry === none) {
    take(`${who}: misses`, (next) => {
      next.fillers[index]!.phase = 1;
    });
  }
  if (filler.phase === 1) {
    // The snapshot and the row come from one statement.
    take(`${who}: loads ${named(state.visible)}, snapshot xmin ${xminOf(state)}`, (next) => {
      next.fillers[index]!.phase = 2;
      next.fillers[index]!.token = [xminOf(state), endedIn(state)];
      next.fillers[index]!.value = next.visible;
    });
  }
  if (filler.phase === 2) {
    const accepted = accepts(form, state.stamp, filler.token);
    take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
      if (accepted) next.entry = filler.value;
      retire(next.fillers[index]!);
    });
  }
}

/** Every number below has ended. */
function xminOf({ numbers, visible, nextNumber }: State): number {
  const running = numbers.filter((number, index) => number !== 0 && (visible & bit(index + 1)) === 0);
  return Math.min(nextNumber, ...running);
}

/** Numbers that a snapshot shows as ended, as bits. Handlers' own end at once. */
function endedIn({ numbers, visible, nextNumber }: State): number {
  let ended = (1 << nextNumber) - 1;
  for (const [index, number] of numbers.entries()) {
    if (number !== 0 && (visible & bit(index + 1)) === 0) ended &= ~(1 << number);
  }
  return ended;
}

function stamped(form: StampForm, stamp: number, number: number): number {
  if (form === 'last exactly') return 1 << number;
  return form === 'set' ? stamp | (1 << number) : highest(stamp | (1 << number));
}

function highest(numbers: number): number {
  return numbers === 0 ? 0 : 1 << (31 - Math.clz32(numbers));
}

function accepts(form: StampForm, stamp: number, [xmin = 0, ended = 0]: readonly number[]): boolean {
  if (stamp === 0) return true;
  const number = 31 - Math.clz32(stamp);
  if (form === 'highest below xmin') return number < xmin;
  if (form === 'new, reached by xmin') return xmin >= number;
  return (stamp & ~ended) === 0;
}
