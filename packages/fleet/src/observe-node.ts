/** What one node of this machine does and is set to, asked of its process and its engine now. */
import { digestUsers } from '@larder/engine/acl';
import { movesWholeSlots } from '@larder/engine/engine';
import { type AdminConnection, keepsAdminConnection, memcachedItems } from './admin-connection.ts';
import {
  type KeptData,
  type NodeObservation,
  type NodeProcess,
  type NodeSettings,
  NodeUnreachable,
} from './host.ts';
import type { NodeFolders } from './node-folder.ts';
import type { NodeSpec } from './node-spec.ts';
import type { OwnConnectionCounter } from './own-connections.ts';
import type { StatFile } from './process-table.ts';
import { settingsSeen } from './setting-commands.ts';
import type { StatsLine } from './stats-line.ts';

/** Of a node of ours we always know. */
export type OwnProcess = Exclude<NodeProcess, { kind: 'unreachable' | 'fenced' }>;

export interface OwnNode {
  spec: NodeSpec;
  process: OwnProcess;
  admin: AdminConnection | undefined;
  /** While it runs. */
  stat?: StatFile | undefined;
  /** Of its last process. */
  own: OwnConnectionCounter;
  /** Memcached's, while it runs. */
  stats?: StatsLine | undefined;
  kept?: KeptData;
}

/** @param look reads the process table for it: it may have died unnoticed. */
export async function observeNode(
  node: OwnNode,
  look: (node: OwnNode) => void,
  onProblem: (error: Error) => void,
): Promise<NodeObservation> {
  const { nodeId } = node.spec;
  look(node);
  const { address, port, engine, plainPort, tlsPort } = node.spec.settings;
  const { version, generation } = node.spec;
  const started = { version, generation, ports: { plainPort, tlsPort } };
  const keptData = node.kept !== undefined && { keptData: node.kept };
  if (node.process.kind !== 'running' || node.process.hang !== undefined) {
    return { nodeId, process: node.process, started, ...keptData };
  }
  try {
    if (engine === 'memcached') {
      const items = await memcachedItems(address, port, node.spec.settings.tlsPort !== 0, node.own);
      return { nodeId, process: node.process, started, memcachedItems: items };
    }
    const seen = await node.admin?.observe(clusterQuestions(node.spec));
    look(node);
    // It may have died since it answered: a dead node has no role and listens nowhere.
    const answered = seen !== undefined && node.process.kind === 'running';
    return { nodeId, process: node.process, started, ...keptData, ...(answered && { engine: seen }) };
  } catch (error) {
    if (!(error instanceof NodeUnreachable)) onProblem(error as Error);
    look(node);
    return { nodeId, process: node.process, started, ...keptData };
  }
}

/** Undefined when it does not run or does not answer. */
export async function readNodeSettings(
  node: OwnNode,
  folders: Pick<NodeFolders, 'certificateEndsAtMs'>,
  onProblem: (error: Error) => void,
): Promise<NodeSettings | undefined> {
  if (node.process.kind !== 'running') return undefined;
  const { nodeId } = node.spec;
  const { users, plainPort, tlsPort } = node.spec.settings;
  const certificateEndsAtMs = tlsPort === 0 ? undefined : folders.certificateEndsAtMs(nodeId);
  const certificate = certificateEndsAtMs !== undefined && { certificateEndsAtMs };
  if (!keepsAdminConnection(node.spec.settings.engine)) {
    const { parameters } = node.spec.settings;
    return { plainPort, tlsPort, parameters, users: digestUsers(users), ...certificate };
  }
  try {
    const seen = await node.admin?.readParameters();
    if (seen === undefined) return undefined;
    return { ...settingsSeen(seen, users), ...certificate };
  } catch (error) {
    if (!(error instanceof NodeUnreachable)) onProblem(error as Error);
    return undefined;
  }
}

function clusterQuestions({ settings, version }: NodeSpec): 'none' | 'nodes' | 'nodes-and-moves' {
  if (!settings.clusterEnabled) return 'none';
  return movesWholeSlots(settings.engine, version) ? 'nodes-and-moves' : 'nodes';
}
