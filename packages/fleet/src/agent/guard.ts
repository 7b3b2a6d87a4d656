/**
 * Fences this host's primaries when the agent can't: it was killed, or stopped, and its lease ends. A process of its
 * own, so that it is not gone together with the agent. The agent writes down until when which nodes may take writes;
 * the guard reads that, by the clock that all processes of a machine share, and knows nothing else.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonFile } from '../durable-file.ts';
import type { FencedNode } from './fence-node.ts';

/** A node that takes writes under a lease. */
export interface GuardedNode extends FencedNode {
  /** By `machineMs`. */
  readonly untilMs: number;
}

/** How long before the end the guard acts. Later than the agent, so that it does nothing while the agent lives. */
export const guardAheadMs = 350;
const lookEveryMs = 50;

/** Milliseconds of a clock that every process of the machine shares and that is never set. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

function guardFile(directory: string): string {
  return join(directory, 'guarded.json');
}

/** A reader sees the old list or the new. Not kept for after a crash of the machine: then no node runs. */
export function writeGuarded(directory: string, nodes: readonly GuardedNode[]): void {
  const file = guardFile(directory);
  writeFileSync(`${file}.partial`, JSON.stringify(nodes), { mode: 0o600 });
  renameSync(`${file}.partial`, file);
}

export function readGuarded(directory: string): readonly GuardedNode[] {
  return readJsonFile(guardFile(directory), []);
}

export interface GuardOptions {
  readonly directory: string;
  /** Takes writes away from the node. */
  readonly fence: (node: GuardedNode) => Promise<unknown>;
  readonly onProblem: (error: Error) => void;
}

/** Looks until `close`. */
export function guard({ directory, fence, onProblem }: GuardOptions): { close(): void } {
  /** Runs of nodes that were fenced, by the end they were fenced for. */
  const fenced = new Map<string, number>();

  function look(): void {
    const nodes = readGuarded(directory);
    for (const node of nodes) {
      const run = `${node.nodeId} ${node.incarnation.pid} ${node.incarnation.startTicks}`;
      if (machineMs() < node.untilMs - guardAheadMs || fenced.get(run) === node.untilMs) continue;
      fenced.set(run, node.untilMs);
      fence(node).catch((error: Error) => {
        // It is tried again: a primary that still takes writes would be the worst there is.
        fenced.delete(run);
        onProblem(error);
      });
    }
  }

  const timer = setInterval(() => {
    try {
      look();
    } catch (error) {
      onProblem(error as Error);
    }
  }, lookEveryMs);
  return { close: () => clearInterval(timer) };
}
