/**
 * What the service writes down, on a disk that may be slow: it outlives the service. A transaction that was under way
 * when the service died was committed or was not.
 */
import type { ReplicationGroup } from '@larder/control/replication-group/replication-group';
import type { StepRecords } from '@larder/control/replication-group/step-records';
import type { Random } from '../random.ts';
import type { EventQueue } from './event-queue.ts';
import type { Life } from './life.ts';

type Change = (group: ReplicationGroup) => ReplicationGroup;

export interface LedgerWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly mutation: LedgerMutation;
}

export interface LedgerMutation {
  /** A decision is reported before it is on disk. */
  readonly answersBeforeWriting?: boolean;
}

export class Ledger {
  group: ReplicationGroup;
  /** Of each transaction; more while the disk is slow. */
  slowMs = 0;
  onDecision: (group: ReplicationGroup) => void = () => {};
  readonly #world: LedgerWorld;

  constructor(world: LedgerWorld, group: ReplicationGroup) {
    this.#world = world;
    this.group = group;
  }

  /** @throws what `change` throws: nothing was written. */
  write(life: Life, change: Change): Promise<void> {
    const { queue, random } = this.#world;
    const early = this.#world.mutation.answersBeforeWriting === true;
    return life.promise((done) => {
      if (early) queue.after(0, () => done(undefined));
      let open = true;
      const commit = (): void => {
        if (!open) return;
        open = false;
        try {
          this.group = change(this.group);
        } catch (error) {
          done(error as Error);
          return;
        }
        queue.after(this.#halfMs(), () => done(undefined));
      };
      queue.after(this.#halfMs(), commit);
      life.atEnd(() => {
        if (random.chance(0.5)) commit();
        open = false;
      });
    });
  }

  #halfMs(): number {
    return (0.2 + this.#world.random.next()) * (this.slowMs === 0 ? 1 : this.slowMs);
  }

  /** The steps' part of it, for one life of the service. */
  records(life: Life): StepRecords {
    const write = (change: Change): Promise<void> => this.write(life, change);
    const written = (): Promise<void> => write((group) => group);
    return {
      decidePrimary: async (group, { nodeGroup, member }) => {
        const epoch = group.epoch + 1;
        await write((now) => {
          if (now.epoch !== group.epoch) throw new Error(`The epoch is no longer ${group.epoch}.`);
          const decided = changeShard({ ...now, epoch }, nodeGroup, { primary: member });
          this.onDecision(decided);
          return decided;
        });
        return epoch;
      },
      noteHistory: (_, nodeGroup, lineage) => write((group) => changeShard(group, nodeGroup, { lineage })),
      endHandover: (_, nodeGroup) =>
        write((group) => ({
          ...group,
          nodeGroups: group.nodeGroups.map((each) => {
            const { handover: _, ...rest } = each;
            return each.id === nodeGroup ? rest : each;
          }),
        })),
      forgetMember: (_, member) =>
        write((group) => ({
          ...group,
          nodeGroups: group.nodeGroups.map((each) => ({
            ...each,
            members: each.members.filter(({ id }) => id !== member),
          })),
        })),
      // Events, and what only shows in descriptions: nothing is planned by it.
      beginRecovery: written,
      tellOfNode: written,
      markShardsFormed: notSimulated,
      dismissShard: notSimulated,
      forgetShard: notSimulated,
      endResharding: notSimulated,
      noteSource: notSimulated,
      endMigration: notSimulated,
      retainPrimary: notSimulated,
      forgetGroup: notSimulated,
    };
  }
}

export function changeShard(
  group: ReplicationGroup,
  id: string,
  change: Partial<ReplicationGroup['nodeGroups'][number]>,
): ReplicationGroup {
  return {
    ...group,
    nodeGroups: group.nodeGroups.map((each) => (each.id === id ? { ...each, ...change } : each)),
  };
}

function notSimulated(): never {
  throw new Error('This step is not simulated.');
}
