import { describe, expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import { type Change, clusterGroup, input, replicatedGroup } from './group.test-support.ts';
import { plan } from './plan.ts';
import type { NodeGroup, ReplicationGroup } from './replication-group.ts';

const because = expect.any(String);
const older: Change = (seen) => ({ ...seen, started: { ...seen.started!, version: '8.1.1' } });
const kept =
  (keptData: 'saving' | 'saved' | 'failed'): Change =>
  (seen) => ({ ...older(seen), keptData });

function withShard(group: ReplicationGroup, change: Partial<NodeGroup>): ReplicationGroup {
  const [first, ...others] = group.nodeGroups;
  return { ...group, nodeGroups: [{ ...first!, ...change }, ...others] };
}

/** The same group with single members changed. */
function withMember(group: ReplicationGroup, id: string, change: Partial<NodeGroup['members'][number]>) {
  const members = group.nodeGroups[0]!.members.map((each) =>
    each.id === id ? { ...each, ...change } : each,
  );
  return withShard(group, { members });
}

function stepsOf(group: ReplicationGroup, changes: Record<string, Change> = {}) {
  const given = input(group, changes);
  const { steps } = plan(given);
  expect(checkPlan(steps, group, given.observations)).toEqual([]);
  return steps;
}

describe('nodes of an older version', () => {
  const group = replicatedGroup();

  test('replicas first, one at a time', () => {
    expect(stepsOf(group, { 'shop-001': older, 'shop-002': older, 'shop-003': older })).toEqual([
      { kind: 'keep-data', member: 'shop-002', because },
    ]);
    expect(stepsOf(group, { 'shop-001': older, 'shop-003': older })).toEqual([
      { kind: 'keep-data', member: 'shop-003', because },
    ]);
  });

  test('a replica stops once it has saved its data, or could not', () => {
    const saving = plan(input(group, { 'shop-002': kept('saving') }));
    expect(saving).toMatchObject({ steps: [], waitingFor: ['shop-002 to save its data'], converged: false });
    for (const how of ['saved', 'failed'] as const) {
      expect(stepsOf(group, { 'shop-002': kept(how), 'shop-003': older })).toEqual([
        { kind: 'stop-node', member: 'shop-002', because },
      ]);
    }
  });

  test('the primary hands over to a replica in sync before it stops', () => {
    expect(stepsOf(group, { 'shop-001': older })).toEqual([
      { kind: 'switch-over', nodeGroup: '0001', member: 'shop-002', previous: 'shop-001', because },
    ]);
  });

  test('a primary alone just stops', () => {
    expect(stepsOf(replicatedGroup(1), { 'shop-001': older })).toEqual([
      { kind: 'stop-node', member: 'shop-001', because },
    ]);
  });

  test('stay what they are while a rollout is held, but not when one was asked to restart', () => {
    const held = { ...group, intent: { ...group.intent, holdsVersions: true } };
    expect(stepsOf(held, { 'shop-002': older })).toEqual([]);
    expect(stepsOf(withMember(held, 'shop-002', { generation: 2 }), { 'shop-002': older })).toEqual([
      { kind: 'keep-data', member: 'shop-002', because },
    ]);
  });

  test('in cluster mode each shard for itself', () => {
    const steps = stepsOf(clusterGroup(2), { 'shop-0001-002': older, 'shop-0002-001': older });
    expect(steps).toEqual([
      { kind: 'keep-data', member: 'shop-0001-002', because },
      {
        kind: 'switch-over',
        nodeGroup: '0002',
        member: 'shop-0002-002',
        previous: 'shop-0002-001',
        because,
      },
    ]);
  });
});

describe('a handover that was asked for', () => {
  const group = replicatedGroup();

  test('goes to the member that was named', () => {
    const asked = withShard(group, { handover: { from: 'shop-001', to: 'shop-003' } });
    expect(stepsOf(asked)).toMatchObject([{ kind: 'switch-over', member: 'shop-003', previous: 'shop-001' }]);
  });

  test('ends when it is done, and when there is nobody', () => {
    const done = withShard(group, { handover: { from: 'shop-002' } });
    expect(stepsOf(done)).toEqual([{ kind: 'end-handover', nodeGroup: '0001', because }]);
    const alone = withShard(replicatedGroup(1), { handover: { from: 'shop-001' } });
    expect(stepsOf(alone)).toMatchObject([{ kind: 'end-handover' }]);
  });
});

test('a member that goes is ended, forgotten by the others and struck off, in this order', () => {
  const base = clusterGroup(2);
  const group = withMember(base, 'shop-0001-002', { status: 'deleting' });
  const steps = stepsOf(group);
  expect(steps[0]).toMatchObject({ kind: 'remove-node', member: 'shop-0001-002' });
  expect(steps.at(-1)).toMatchObject({ kind: 'forget-member', member: 'shop-0001-002' });
  const tellers = steps.filter(({ kind }) => kind === 'forget-peer');
  expect(tellers).toHaveLength(3);
  for (const step of tellers) expect(step).toMatchObject({ clusterNodeId: 'id-shop-0001-002' });
});
