/** Faults of engines' processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess } from '../../testing/engine-processes.ts';
import { type Fault, nothingToUndo, type Stage, type StageNode } from './stage.ts';

/** Chooses who is hit. */
export type Choice = (stage: Stage, primary: StageNode) => readonly StageNode[];

export const thePrimary: Choice = (_, primary) => [primary];
export const oneReplica: Choice = (stage, primary) => replicasOf(stage, primary).slice(0, 1);
export const primaryAndReplica: Choice = (stage, primary) => [primary, ...oneReplica(stage, primary)];
export const wholeShard: Choice = (stage, primary) => [primary, ...replicasOf(stage, primary)];

function replicasOf({ nodes }: Stage, primary: StageNode): StageNode[] {
  return nodes.filter(({ shard, name }) => shard === primary.shard && name !== primary.name);
}

/** SIGKILL as by the kernel for want of memory, or SIGTERM as by somebody who tidies up. */
export function killed(choice: Choice, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Fault {
  return {
    async inject(stage, primary) {
      for (const pid of pidsOf(choice(stage, primary))) endProcess(pid, signal);
      return nothingToUndo;
    },
  };
}

/** All of a shard in one moment: stopped first, so that nobody is promoted while the others still live. */
export function shardKilled(): Fault {
  return {
    async inject(stage, primary) {
      const pids = pidsOf(wholeShard(stage, primary));
      for (const pid of pids) endProcess(pid, 'SIGSTOP');
      for (const pid of pids) endProcess(pid, 'SIGKILL');
      return nothingToUndo;
    },
  };
}

/** Hung, and back later with all it had: what it acknowledges then is what fencing is for. */
export function stopped(choice: Choice): Fault {
  return {
    async inject(stage, primary) {
      const pids = pidsOf(choice(stage, primary));
      for (const pid of pids) endProcess(pid, 'SIGSTOP');
      return {
        async undo() {
          for (const pid of pids) endProcess(pid, 'SIGCONT');
        },
      };
    },
  };
}

/** Kills each process of the node as soon as it is there. */
export function crashLoop(choice: Choice, forMs: number): Fault {
  return {
    async inject(stage, primary) {
      const [node] = choice(stage, primary);
      let running = true;
      let starts = 0;
      const loop = (async () => {
        for (let last: number | undefined; running; await sleep(5)) {
          const pid = node!.pid();
          if (pid === undefined || pid === last) continue;
          endProcess(pid);
          last = pid;
          starts += 1;
        }
      })();
      await sleep(forMs);
      return {
        saw: async () => ({ startsOfTheDyingNode: starts - 1 }),
        async undo() {
          running = false;
          await loop;
        },
      };
    },
  };
}

function pidsOf(nodes: readonly StageNode[]): number[] {
  return nodes.map(({ name, pid }) => {
    const found = pid();
    if (found === undefined) throw new Error(`${name} does not run.`);
    return found;
  });
}
