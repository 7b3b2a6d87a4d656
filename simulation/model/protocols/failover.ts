/**
 * Failover of the engine to a replica that lost the effects of the last scripts.
 *
 * The engine remembers in A how far the feed is applied to it; every step of the consumer names the A it builds on,
 * and applies again from its memory of recent changes what a smaller A shows to be lost (far/scripts.ts `apply`,
 * `beat`; feed/partition-feed.ts `diverged`). A reader believes no beat that stood there when it connected, and none
 * that is behind one it has seen (far/partition-state.ts): so it serves nothing from the promoted replica until the
 * consumer has been there and found everything applied.
 *
 * Invariant G0, without exception for failovers: once the invalidation of T was applied, no reader is served a value
 * that lacks T. It fails when the consumer doesn't compare A (R12), and when readers go on believing the beat that a
 * promoted replica still carries.
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
  visiblePrefix,
} from '../database.ts';
import { type Filler, idleFillers, nameOf, none, retire } from '../filler.ts';

interface Engine {
  epoch: number;
  applied: number;
  watermark: number;
  floor: number;
  stamp: number;
  entry: number;
  entryEpoch: number;
  /** Number of the beat that stands there, and what it names. */
  beat: number;
  beatEpoch: number;
  beatApplied: number;
}

/** A process that reads; fillers are others. */
interface Reader {
  connected: boolean;
  /** Number of the beat that stood there when it connected. */
  distrusted: number;
  newestEpoch: number;
  newestApplied: number;
}

interface State {
  database: Database;
  primary: Engine;
  /** What a replica has that stopped following; empty while the replica follows. */
  behind: Engine[];
  consumer: {
    applied: number;
    engineApplied: number;
    epoch: number;
    acknowledged: number;
    /** It remembers every change after this position. */
    ringStart: number;
    needsEpoch: boolean;
    mustCompare: boolean;
  };
  epochs: number;
  beats: number;
  failovers: number;
  crashes: number;
  invalidated: number;
  reader: Reader;
  fillers: Filler[];
}

export interface FailoverOptions {
  /** Does the consumer compare A and apply again what was lost? */
  readonly repairs: boolean;
  /** Do readers wait for a new beat after they connect? */
  readonly distrusts: boolean;
  readonly failovers: number;
  readonly crashes: number;
  readonly beats: number;
}

const freshEngine: Engine = {
  epoch: 1,
  applied: 0,
  watermark: 0,
  floor: 0,
  stamp: 0,
  entry: none,
  entryEpoch: 0,
  beat: 0,
  beatEpoch: 1,
  beatApplied: 0,
};

export function failover(bounds: Bounds, options: FailoverOptions): Model<State> {
  return {
    initial: [
      {
        database: emptyDatabase(),
        primary: { ...freshEngine },
        behind: [],
        consumer: {
          applied: 0,
          engineApplied: 0,
          epoch: 1,
          acknowledged: 0,
          ringStart: 0,
          needsEpoch: false,
          mustCompare: false,
        },
        epochs: 1,
        beats: 0,
        failovers: 0,
        crashes: 0,
        invalidated: 0,
        reader: { connected: true, distrusted: none, newestEpoch: 1, newestApplied: 0 },
        fillers: idleFillers(bounds.fillers),
      },
    ],
    steps(state, take) {
      databaseSteps(state, take, bounds);
      consumerSteps(state, take, options);
      engineSteps(state, take, options);
      readerSteps(state, take, options);
      for (const [index, filler] of state.fillers.entries()) fillerSteps(state, index, filler, take);
    },
    interchangeable: 'fillers',
    violation: ({ primary, reader, invalidated }) =>
      primary.entryEpoch === primary.epoch && believes(reader, primary, options)
        ? staleRead(primary.entry, invalidated)
        : undefined,
  };
}

function believes(
  reader: Reader,
  { beat, beatEpoch, beatApplied }: Engine,
  options: FailoverOptions,
): boolean {
  if (!reader.connected) return false;
  if (!options.distrusts) return true;
  const behind =
    beatEpoch < reader.newestEpoch ||
    (beatEpoch === reader.newestEpoch && beatApplied < reader.newestApplied);
  return !behind && beat !== reader.distrusted;
}

function consumerSteps(state: State, take: Take<State>, options: FailoverOptions): void {
  const { consumer, primary, database } = state;
  const agreed =
    !options.repairs || (primary.epoch === consumer.epoch && primary.applied === consumer.engineApplied);
  const through = Math.min(consumer.applied, visiblePrefix(database.visible));
  if (consumer.mustCompare) {
    const known = primary.applied >= consumer.applied;
    take(`consumer: compares with the engine: ${known ? 'goes on' : 'owes an epoch'}`, (next) => {
      next.consumer.mustCompare = false;
      next.consumer.needsEpoch = !known;
      next.consumer.epoch = primary.epoch;
      next.consumer.engineApplied = primary.applied;
    });
    return;
  }
  if (consumer.needsEpoch) {
    take('consumer: begins an epoch', (next) => {
      next.epochs += 1;
      const { applied } = consumer;
      const { beat } = primary;
      next.primary = { ...freshEngine, epoch: next.epochs, applied, watermark: through, floor: applied };
      Object.assign(next.primary, { beat, beatEpoch: next.epochs, beatApplied: applied });
      Object.assign(next.consumer, { epoch: next.epochs, engineApplied: applied, needsEpoch: false });
      next.consumer.ringStart = applied;
      next.invalidated |= upTo(applied);
    });
    return;
  }
  const caughtUp = consumer.applied === database.logged;
  if (!agreed && (!caughtUp || state.beats < options.beats)) {
    const found = primary.applied;
    const remembered = primary.epoch === consumer.epoch && found >= consumer.ringStart;
    const then = remembered ? `applies again from ${found}` : 'owes an epoch';
    take(`consumer: finds the engine at ${found}, not ${consumer.engineApplied}: ${then}`, (next) => {
      if (!remembered) {
        next.consumer.needsEpoch = true;
        return;
      }
      next.consumer.applied = Math.min(consumer.applied, found);
      next.consumer.engineApplied = found;
    });
  }
  if (agreed && !caughtUp) {
    const position = consumer.applied + 1;
    take(`consumer: applies T${position}`, (next) => {
      next.consumer.applied = position;
      next.consumer.engineApplied = Math.max(consumer.engineApplied, position);
      next.primary.applied = next.consumer.engineApplied;
      next.primary.stamp = Math.max(next.primary.stamp, position);
      next.primary.entry = none;
      next.invalidated |= bit(position);
    });
  }
  if (agreed && caughtUp && state.beats < options.beats) {
    take(`consumer: beats (beat ${state.beats + 1}, applied ${consumer.applied})`, (next) => {
      next.beats += 1;
      next.primary.watermark = Math.max(next.primary.watermark, through);
      const { applied } = next.primary;
      Object.assign(next.primary, { beat: next.beats, beatEpoch: next.primary.epoch, beatApplied: applied });
    });
  }
  if (primary.epoch === consumer.epoch && through > primary.watermark) {
    take(`consumer: publishes the watermark ${through}`, (next) => {
      next.primary.watermark = through;
    });
  }
  if (state.crashes < options.crashes && through > consumer.acknowledged) {
    take(`consumer: acknowledges up to ${through}`, (next) => {
      next.consumer.acknowledged = through;
    });
  }
  if (state.crashes < options.crashes) {
    take(`fault: the consumer crashes; everything after ${consumer.acknowledged} comes again`, (next) => {
      next.crashes += 1;
      next.consumer.applied = consumer.acknowledged;
      next.consumer.ringStart = consumer.acknowledged;
      next.consumer.mustCompare = true;
    });
  }
}

function engineSteps(state: State, take: Take<State>, { failovers }: FailoverOptions): void {
  if (state.failovers === failovers) return;
  const [behind] = state.behind;
  if (behind === undefined) {
    take('engine: the replica stops following', (next) => {
      next.behind = [{ ...state.primary }];
    });
    return;
  }
  take('fault: the primary dies; the replica is promoted as it is', (next) => {
    next.failovers += 1;
    next.primary = { ...behind };
    next.behind = [];
    next.reader.connected = false;
  });
}

function readerSteps(state: State, take: Take<State>, { distrusts }: FailoverOptions): void {
  const { primary, reader } = state;
  if (!reader.connected) {
    take(`reader: connects to the new primary; beat ${primary.beat} stands there`, (next) => {
      next.reader.connected = true;
      next.reader.distrusted = primary.beat;
    });
    return;
  }
  const newer =
    primary.beatEpoch > reader.newestEpoch ||
    (primary.beatEpoch === reader.newestEpoch && primary.beatApplied > reader.newestApplied);
  if (distrusts && newer) {
    take(`reader: reads beat ${primary.beat}`, (next) => {
      next.reader.newestEpoch = primary.beatEpoch;
      next.reader.newestApplied = primary.beatApplied;
    });
  }
}

function fillerSteps(state: State, index: number, filler: Filler, take: Take<State>): void {
  const { primary, database } = state;
  const { epoch, watermark: w, floor, stamp } = primary;
  const who = nameOf(index);
  const missing = primary.entry === none || primary.entryEpoch !== epoch;
  if (filler.phase === 0 && w >= floor && w >= stamp && missing) {
    take(`${who}: misses; token: watermark ${w}, epoch ${epoch}`, (next) => {
      next.fillers[index]!.phase = 1;
      next.fillers[index]!.token = [w, epoch];
    });
  }
  if (filler.phase === 1) {
    take(`${who}: loads ${named(database.visible)}`, (next) => {
      next.fillers[index]!.phase = 2;
      next.fillers[index]!.value = database.visible;
    });
  }
  if (filler.phase === 2) {
    const [tokenW = 0, tokenEpoch] = filler.token;
    const accepted = epoch === tokenEpoch && tokenW >= floor && tokenW >= stamp;
    take(`${who}: fills ${named(filler.value)}: ${accepted ? 'accepted' : 'refused'}`, (next) => {
      if (accepted) Object.assign(next.primary, { entry: filler.value, entryEpoch: epoch });
      retire(next.fillers[index]!);
    });
  }
}
