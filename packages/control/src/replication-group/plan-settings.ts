/** (pure) What is to be set on a group's nodes: replicas first. */
import type { NodeSettings } from '@larder/fleet/host';
import { planNodeSettings } from '../node/node-settings.ts';
import type { ParameterStatus, WantedNode } from '../node/wanted-node.ts';
import { membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { Step } from './step.ts';

export interface SettingsInput {
  readonly group: ReplicationGroup;
  /** By node id; nodes that don't run or don't answer are missing. */
  readonly settings: ReadonlyMap<string, NodeSettings>;
  readonly wanted: (member: string) => WantedNode;
  readonly nowMs: number;
}

export interface SettingsPlan {
  readonly steps: readonly Step[];
  /** Member -> how far it has taken its parameters on. */
  readonly parameterStatus: ReadonlyMap<string, ParameterStatus>;
  /** Every member was seen, with just the users it is to have. */
  readonly usersInSync: boolean;
}

export function planSettings({ group, settings, wanted, nowMs }: SettingsInput): SettingsPlan {
  const steps: Step[] = [];
  const parameterStatus = new Map<string, ParameterStatus>();
  const primaries = new Set(group.nodeGroups.map(({ primary }) => primary));
  const members = membersOf(group)
    .filter(({ status }) => status !== 'deleting')
    .sort((a, b) => Number(primaries.has(a.id)) - Number(primaries.has(b.id)));
  let usersInSync = true;

  for (const member of members) {
    const seen = settings.get(nodeIdOf(member));
    if (seen === undefined) {
      usersInSync = false;
      continue;
    }
    const expectsChange =
      !['available', 'snapshotting'].includes(group.status) ||
      member.status !== 'available' ||
      member.parameterStatus === 'applying';
    const planned = planNodeSettings(seen, wanted(member.id), expectsChange, nowMs);
    parameterStatus.set(member.id, planned.parameterStatus);
    if (planned.steps.some(({ kind }) => kind === 'set-users')) usersInSync = false;
    steps.push(...planned.steps.map((step) => ({ ...step, member: member.id })));
  }
  return { steps, parameterStatus, usersInSync };
}
