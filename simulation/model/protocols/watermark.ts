/**
 * The protocol of this library: visible watermark, stamps, generations, epochs, as in far/scripts.ts, invalidator.ts
 * and feed/partition-feed.ts. Every script is one step.
 *
 * Invariant G0: once the invalidation of T was applied, by the feed or by an application after its commit, no read
 * returns a value that lacks T. It holds through redelivery after crashes of the consumer, and through the loss of
 * the engine's data as a whole or of the stamps alone. (A reader uses no entry before a beat of the epoch stands
 * there. Without that rule a loss and a crash together would show an old value until the redelivery.)
 *
 * The versions beside it fail: a watermark that follows the consumer rather than visibility (R2 in new clothes), and
 * loaders that read a lagging replica under the primary's watermark (R5); a watermark that also waits for the
 * replica holds again.
 */
import type { Model, Take } from '../checker.ts';
import {
  type Bounds,
  bit,
  type Database,
  databaseSteps,
  emptyDatabase,
  named,
  rowSeen,
  staleRead,
  upTo,
  visiblePrefix,
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface Engine {
  /** 0: there is no state. */
  epoch: number;
  applied: number;
  watermark: number;
  floor: number;
  /** Are the stamps there? They can be lost alone. */
  stamps: boolean;
  stamp: number;
  generation: number;
  entry: number;
  entryEpoch: number;
  /** A beat of this epoch stands there: everything in the log when it was sent is applied. */
  beaten: boolean;
}

interface Consumer {
  /** Received and applied, in log order. */
  applied: number;
  acknowledged: number;
  epoch: number;
  engineApplied: number;
  /** 0 must compare with the engine, 1 owes an epoch, 2 follows */
  need: number;
}

interface State {
  database: Database;
  engine: Engine;
  consumer: Consumer;
  epochs: number;
  invalidated: number;
  losses: number;
  crashes: number;
  /** Bits of transactions whose application has invalidated, after its commit. */
  byApplication: number;
  fillers: Filler[];
}

export interface WatermarkOptions {
  readonly watermark: 'visible on the primary' | 'visible on the replica' | 'consumed';
  readonly loadsFrom: 'primary' | 'replica';
  /** How often the engine may lose its data, the consumer crash, an application invalidate. */
  readonly losses: number;
  readonly crashes: number;
  readonly applications: number;
}

export function watermark(bounds: Bounds, options: WatermarkOptions): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        engine: lostEngine(),
        consumer: { applied: 0, acknowledged: 0, epoch: 0, engineApplied: 0, need: 1 },
        epochs: 0,
        invalidated: 0,
        losses: 0,
        crashes: 0,
        byApplication: 0,
        fillers: idleFillers(bounds.fillers),
      },
    ],
    steps(state, take) {
      databaseSteps(state, take, { ...bounds, replica: options.loadsFrom === 'replica' });
      consumerSteps(state, take, options);
      faultSteps(state, take, options);
      applicationSteps(state, take, options);
      for (const [index, filler] of state.fillers.entries()) fillerSteps(state, index, filler, take, options);
    },
    interchangeable: 'fillers',
    violation: ({ engine, invalidated }) =>
      engine.beaten && engine.entryEpoch === engine.epoch ? staleRead(engine.entry, invalidated) : undefined,
  };
}

function lostEngine(): Engine {
  return {
    epoch: 0,
    applied: 0,
    watermark: 0,
    floor: 0,
    stamps: false,
    stamp: 0,
    generation: 0,
    entry: none,
    entryEpoch: 0,
    beaten: false,
  };
}

/** What new reads certainly see, as the consumer may claim it of what it has received. */
function seen(state: State, { watermark: rule }: WatermarkOptions): number {
  const { consumer, database } = state;
  if (rule === 'consumed') return consumer.applied;
  const shown = visiblePrefix(database.visible);
  const everywhere = rule === 'visible on the replica' ? Math.min(shown, database.replayed) : shown;
  return Math.min(consumer.applied, everywhere);
}

function consumerSteps(state: State, take: Take<State>, options: WatermarkOptions): void {
  const { consumer, engine, database } = state;
  if (consumer.need === 0) {
    const known = engine.epoch !== 0 && engine.stamps && engine.applied >= consumer.applied;
    take(`consumer: compares with the engine: ${known ? 'goes on' : 'owes an epoch'}`, (next) => {
      next.consumer.need = known ? 2 : 1;
      if (!known) return;
      next.consumer.epoch = engine.epoch;
      next.consumer.engineApplied = engine.applied;
    });
  }
  if (consumer.need === 1) {
    take('consumer: begins an epoch', (next) => {
      next.epochs += 1;
      const { applied } = next.consumer;
      next.engine.epoch = next.epochs;
      next.engine.applied = applied;
      next.engine.watermark = seen(state, options);
      next.engine.floor = applied;
      next.engine.stamps = true;
      next.engine.stamp = 0;
      next.engine.generation = 0;
      next.engine.beaten = false;
      next.consumer.epoch = next.epochs;
      next.consumer.engineApplied = applied;
      next.consumer.need = 2;
      next.invalidated |= upTo(applied);
    });
  }
  const agreed =
    engine.epoch === consumer.epoch && engine.stamps && engine.applied === consumer.engineApplied;
  if (consumer.need === 2 && consumer.applied < database.logged) {
    const position = consumer.applied + 1;
    take(
      `consumer: applies T${position}: ${agreed ? 'stamped and removed' : 'the engine differs'}`,
      (next) => {
        if (!agreed) {
          next.consumer.need = 1;
          return;
        }
        next.consumer.applied = position;
        next.consumer.engineApplied = Math.max(next.consumer.engineApplied, position);
        next.engine.applied = next.consumer.engineApplied;
        next.engine.stamp = Math.max(next.engine.stamp, position);
        next.engine.entry = none;
        next.invalidated |= bit(position);
      },
    );
  }
  if (consumer.need === 2 && consumer.applied === database.logged && agreed && !engine.beaten) {
    take('consumer: beats', (next) => {
      next.engine.beaten = true;
    });
  }
  const through = seen(state, options);
  if (consumer.need === 2 && engine.epoch === consumer.epoch && through > engine.watermark) {
    take(`consumer: publishes the watermark ${through}`, (next) => {
      next.engine.watermark = through;
    });
  }
  if (state.crashes < options.crashes && through > consumer.acknowledged) {
    take(`consumer: acknowledges up to ${through}`, (next) => {
      next.consumer.acknowledged = through;
    });
  }
}

function faultSteps(state: State, take: Take<State>, { losses, crashes }: WatermarkOptions): void {
  if (state.losses < losses && state.engine.epoch !== 0) {
    take('fault: the engine loses everything', (next) => {
      next.losses += 1;
      next.engine = lostEngine();
    });
    take('fault: the engine evicts the stamps', (next) => {
      next.losses += 1;
      next.engine.stamps = false;
      next.engine.stamp = 0;
      next.engine.generation = 0;
    });
  }
  if (state.crashes < crashes) {
    take(
      `fault: the consumer crashes; everything after ${state.consumer.acknowledged} comes again`,
      (next) => {
        next.crashes += 1;
        next.consumer.applied = next.consumer.acknowledged;
        next.consumer.need = 0;
      },
    );
  }
}

function applicationSteps(state: State, take: Take<State>, { applications }: WatermarkOptions): void {
  const { database, byApplication } = state;
  let done = 0;
  for (let bits = byApplication; bits !== 0; bits &= bits - 1) done += 1;
  if (done >= applications) return;
  for (let t = 1; t <= database.logged; t += 1) {
    if ((database.visible & bit(t)) === 0 || (byApplication & bit(t)) !== 0) continue;
    take(`application of T${t}: invalidates after its commit`, (next) => {
      next.byApplication |= bit(t);
      next.invalidated |= bit(t);
      next.engine.entry = none;
      if (next.engine.epoch !== 0 && next.engine.stamps) next.engine.generation += 1;
    });
  }
}

function fillerSteps(
  state: State,
  index: number,
  filler: Filler,
  take: Take<State>,
  { loadsFrom }: WatermarkOptions,
): void {
  const { engine, database } = state;
  const who = nameOf(index);
  const { epoch, watermark: w, floor, stamp, generation } = engine;
  const held = epoch !== 0 && engine.stamps;
  if (filler.phase === 0 && held && w >= floor && w >= stamp) {
    if (engine.entry === none || engine.entryEpoch !== epoch) {
      take(`${who}: misses; token: watermark ${w}, epoch ${epoch}, generation ${generation}`, (next) => {
        next.fillers[index]!.phase = 1;
        next.fillers[index]!.token = [w, epoch, generation];
      });
    }
  }
  if (filler.phase === 1) {
    take(`${who}: loads ${named(rowSeen(database, loadsFrom))} from the ${loadsFrom}`, (next) => {
      next.fillers[index]!.phase = 2;
      next.fillers[index]!.value = rowSeen(database, loadsFrom);
    });
  }
  if (filler.phase === 2) {
    const [tokenW = 0, tokenEpoch, tokenGeneration] = filler.token;
    const accepted =
      held && epoch === tokenEpoch && tokenW >= floor && tokenW >= stamp && generation === tokenGeneration;
    take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
      if (accepted) {
        next.engine.entry = filler.value;
        next.engine.entryEpoch = epoch;
      }
      retire(next.fillers[index]!);
    });
  }
}
