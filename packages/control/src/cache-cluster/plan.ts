/** (pure) From what was asked and what is seen to the steps between them. */
import type { Incarnation, NodeObservation, NodeSettings } from '@larder/fleet/host';
import { type Route, sameRoutes } from '@larder/fleet/router/route-table';
import { mayEnd } from '../node/hang.ts';
import { planNodeSettings, type SettingStep } from '../node/node-settings.ts';
import type { ParameterStatus, WantedNode } from '../node/wanted-node.ts';
import { type CacheCluster, type CacheNode, nodeIdOf } from './cache-cluster.ts';

export type Step = { readonly because: string } & (
  | {
      readonly kind: 'start-node';
      readonly node: string;
      /** Set: it begins with this snapshot's data. */
      readonly snapshot?: string;
    }
  /** Ends the process; the next pass starts it anew. */
  | { readonly kind: 'stop-node'; readonly node: string }
  /** Ends a process that hangs; the next pass starts it anew. */
  | { readonly kind: 'kill-node'; readonly node: string; readonly incarnation: Incarnation }
  | (SettingStep & { readonly node: string })
  /** What the router serves for the cluster, complete. */
  | { readonly kind: 'route'; readonly routes: readonly Route[] }
  | { readonly kind: 'remove-node'; readonly node: string }
  | { readonly kind: 'forget-node'; readonly node: string }
  | { readonly kind: 'forget-cluster' }
);

export interface Plan {
  readonly steps: readonly Step[];
  readonly converged: boolean;
  readonly waitingFor: readonly string[];
  /** Node -> how far it has taken its parameters on. */
  readonly parameterStatus: ReadonlyMap<string, ParameterStatus>;
}

export interface PlanInput {
  readonly cluster: CacheCluster;
  readonly observations: ReadonlyMap<string, NodeObservation>;
  /** By node id; nodes that don't run or don't answer are missing. */
  readonly settings: ReadonlyMap<string, NodeSettings>;
  readonly wanted: (node: string) => WantedNode;
  /** What the router serves for the cluster now, and what it is to serve. */
  readonly routes: { readonly now: readonly Route[]; readonly wanted: readonly Route[] };
  readonly earliestStartMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

export function plan(input: PlanInput): Plan {
  switch (input.cluster.status) {
    case 'deleting':
      return planDeletion(input);
    case 'create-failed':
    case 'restore-failed':
      return { steps: [], converged: false, waitingFor: [], parameterStatus: new Map() };
    case 'creating':
    case 'available':
    case 'modifying':
    case 'rebooting cluster nodes':
    case 'snapshotting':
      return planRunning(input);
  }
}

function planRunning(input: PlanInput): Plan {
  const { cluster, settings, wanted, routes, nowMs } = input;
  const steps: Step[] = [];
  const waitingFor: string[] = [];
  const parameterStatus = new Map<string, ParameterStatus>();
  for (const node of cluster.nodes) {
    if (node.status === 'deleting') continue;
    if (!planProcess(input, node, steps, waitingFor)) continue;
    const seen = settings.get(nodeIdOf(cluster, node));
    if (seen === undefined) {
      waitingFor.push(`${nodeIdOf(cluster, node)} to tell its settings`);
      continue;
    }
    const expectsChange =
      !['available', 'snapshotting'].includes(cluster.status) || node.parameterStatus === 'applying';
    const planned = planNodeSettings(seen, wanted(node.id), expectsChange, nowMs);
    parameterStatus.set(node.id, planned.parameterStatus);
    steps.push(...planned.steps.map((step) => ({ ...step, node: node.id })));
  }
  const leaving = cluster.nodes.filter(({ status }) => status === 'deleting');
  const startsNode = steps.some(({ kind }) =>
    ['start-node', 'stop-node', 'kill-node', 'set-ports'].includes(kind),
  );
  // Clients are told of nodes once they serve, and no longer of those that go before they go.
  if (!startsNode && waitingFor.length === 0 && !sameRoutes(routes.now, routes.wanted)) {
    steps.push({ kind: 'route', routes: routes.wanted, because: 'clients are to find the nodes of now' });
  } else if (steps.length === 0 && waitingFor.length === 0) {
    for (const { id } of leaving) {
      steps.push({ kind: 'remove-node', node: id, because: 'it was asked to go' });
      steps.push({ kind: 'forget-node', node: id, because: 'it is gone' });
    }
  }
  return { steps, waitingFor, converged: steps.length === 0 && waitingFor.length === 0, parameterStatus };
}

/** @returns whether it runs as it should and answers. */
function planProcess(
  { cluster, observations, earliestStartMs, nowMs }: PlanInput,
  node: CacheNode,
  steps: Step[],
  waitingFor: string[],
): boolean {
  const nodeId = nodeIdOf(cluster, node);
  const seen = observations.get(nodeId);
  if (seen === undefined) throw new Error(`No observation of ${nodeId}.`);
  const { process, started } = seen;
  if (process.kind === 'running') {
    const { hang, incarnation } = process;
    // What one of its nodes holds, no other does.
    if (hang !== undefined && mayEnd(hang, 'none')) {
      const because = `it did not answer for ${hang.silentMs} ms: it is ${hang.how}`;
      steps.push({ kind: 'kill-node', node: node.id, incarnation, because });
      return false;
    }
    const outdated =
      started !== undefined &&
      (started.version !== cluster.intent.engineVersion || started.generation < node.generation);
    if (outdated) {
      steps.push({
        kind: 'stop-node',
        node: node.id,
        because: 'it is of an older version or was asked to restart',
      });
      return false;
    }
    const answers = seen.engine !== undefined || seen.memcachedItems !== undefined;
    if (!answers) waitingFor.push(`${nodeId} to answer`);
    if (seen.engine?.info.loading === true) {
      waitingFor.push(`${nodeId} to load its data`);
      return false;
    }
    return answers;
  }
  if (process.kind === 'unreachable' || process.kind === 'fenced') {
    waitingFor.push(`${nodeId}'s host ${process.host}`);
  } else if (process.kind === 'dead' && process.how === 'exiting') {
    waitingFor.push(`the end of ${nodeId}'s old process`);
  } else if ((earliestStartMs.get(nodeId) ?? 0) > nowMs) {
    waitingFor.push(`${nodeId}: it ended soon after its last starts`);
  } else {
    const because = process.kind === 'absent' ? 'it has no process yet' : 'its process ended';
    const { restoreFrom } = cluster.intent;
    const begins = cluster.status === 'creating' && restoreFrom !== undefined;
    steps.push({ kind: 'start-node', node: node.id, ...(begins && { snapshot: restoreFrom }), because });
  }
  return false;
}

/** Every node, also one never seen to run: its folder may be there from a start that was cut off. */
function planDeletion({ cluster, routes }: PlanInput): Plan {
  const steps: Step[] = [];
  if (routes.now.length > 0) {
    steps.push({ kind: 'route', routes: [], because: 'the cluster is being deleted' });
  }
  for (const { id } of cluster.nodes) {
    steps.push({ kind: 'remove-node', node: id, because: 'the cluster is being deleted' });
  }
  steps.push({ kind: 'forget-cluster', because: 'none of its nodes is left' });
  return { steps, converged: false, waitingFor: [], parameterStatus: new Map() };
}
