/**
 * (pure) Looks at a plan before it is executed, knowing nothing of how it was made.
 *
 * - C1 Nodes are removed only from a cluster that is being deleted, or when they were asked to go.
 * - C2 Only a node of this cluster is named.
 * - C3 A node is started only when its process is seen not to run.
 * - C4 A snapshot is loaded only while the cluster is made, and it is the one that was asked for.
 * - C5 A process is killed only while it hangs, and only the run that does.
 */
import type { NodeObservation } from '@larder/fleet/host';
import { hangs } from '../node/hang.ts';
import { type CacheCluster, nodeIdOf } from './cache-cluster.ts';
import type { Plan } from './plan.ts';

export interface Violation {
  readonly invariant: `C${number}`;
  readonly detail: string;
}

export function checkPlan(
  { steps }: Pick<Plan, 'steps'>,
  cluster: CacheCluster,
  observations: ReadonlyMap<string, NodeObservation>,
): Violation[] {
  const violations: Violation[] = [];
  for (const step of steps) {
    const node = 'node' in step ? cluster.nodes.find(({ id }) => id === step.node) : undefined;
    const removes = ['remove-node', 'forget-node', 'forget-cluster'].includes(step.kind);
    if (removes && cluster.status !== 'deleting' && node?.status !== 'deleting') {
      violations.push({ invariant: 'C1', detail: `${step.kind} in a cluster that is ${cluster.status}` });
    }
    if (!('node' in step)) continue;
    if (node === undefined) {
      violations.push({
        invariant: 'C2',
        detail: `${step.kind} names ${step.node}, which is not in ${cluster.id}`,
      });
    }
    if (step.kind === 'start-node' && step.snapshot !== undefined) {
      const asked = cluster.status === 'creating' && step.snapshot === cluster.intent.restoreFrom;
      if (!asked) violations.push({ invariant: 'C4', detail: `${step.node} would load ${step.snapshot}` });
    }
    const process = observations.get(nodeIdOf(cluster, { id: step.node }))?.process;
    if (step.kind === 'start-node' && (process === undefined || process.kind === 'running')) {
      violations.push({
        invariant: 'C3',
        detail: `${step.node} would be started while it is ${process?.kind ?? 'unknown'}`,
      });
    }
    if (step.kind === 'kill-node' && !hangs(process, step.incarnation)) {
      violations.push({ invariant: 'C5', detail: `${step.node} does not hang` });
    }
  }
  return violations;
}
