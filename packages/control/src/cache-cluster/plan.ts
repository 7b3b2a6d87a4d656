/** (pure) From what was asked and what is seen to the steps between them. */
import type { NodeObservation } from '@larder/fleet/host';
import { type CacheCluster, nodeIdOf } from './cache-cluster.ts';

export type Step = { readonly because: string } & (
  | { readonly kind: 'start-node'; readonly node: string }
  | { readonly kind: 'remove-node'; readonly node: string }
  | { readonly kind: 'forget-cluster' }
);

export interface Plan {
  readonly steps: readonly Step[];
  readonly converged: boolean;
  readonly waitingFor: readonly string[];
}

export interface PlanInput {
  readonly cluster: CacheCluster;
  readonly observations: ReadonlyMap<string, NodeObservation>;
  readonly earliestStartMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

export function plan(input: PlanInput): Plan {
  switch (input.cluster.status) {
    case 'deleting':
      return planDeletion(input);
    case 'create-failed':
      return { steps: [], converged: false, waitingFor: [] };
    case 'creating':
    case 'available':
      return planRunning(input);
  }
}

function planRunning({ cluster, observations, earliestStartMs, nowMs }: PlanInput): Plan {
  const steps: Step[] = [];
  const waitingFor: string[] = [];
  for (const node of cluster.nodes) {
    const nodeId = nodeIdOf(cluster, node);
    const seen = observations.get(nodeId);
    if (seen === undefined) throw new Error(`No observation of ${nodeId}.`);
    const { process } = seen;
    if (process.kind === 'running') {
      const answers = seen.engine !== undefined || seen.memcachedItems !== undefined;
      if (!answers) waitingFor.push(`${nodeId} to answer`);
    } else if (process.kind === 'dead' && process.how === 'exiting') {
      waitingFor.push(`the end of ${nodeId}'s old process`);
    } else if ((earliestStartMs.get(nodeId) ?? 0) > nowMs) {
      waitingFor.push(`${nodeId}: it ended soon after its last starts`);
    } else {
      const because = process.kind === 'absent' ? 'it has no process yet' : 'its process ended';
      steps.push({ kind: 'start-node', node: node.id, because });
    }
  }
  return { steps, waitingFor, converged: steps.length === 0 && waitingFor.length === 0 };
}

/** Every node, also one never seen to run: its folder may be there from a start that was cut off. */
function planDeletion({ cluster }: PlanInput): Plan {
  return {
    steps: [
      ...cluster.nodes.map((node) => ({
        kind: 'remove-node' as const,
        node: node.id,
        because: 'the cluster is being deleted',
      })),
      { kind: 'forget-cluster', because: 'none of its nodes is left' },
    ],
    converged: false,
    waitingFor: [],
  };
}
