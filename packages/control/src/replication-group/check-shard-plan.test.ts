import { listSlots, splitEvenly } from '@larder/engine/slots';
import { expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import { clusterGroup, observe, replicatedGroup, replication } from './group.test-support.ts';
import type { Migration, ReplicationGroup } from './replication-group.ts';
import type { Step } from './step.ts';

const because = 'a test';
const settled = clusterGroup(2);

/** Two shards whose slots are to be those of the other, or the second to go. */
function resharding(
  change: (index: number) => { slots: readonly { first: number; last: number }[]; leaving: boolean },
) {
  return {
    ...settled,
    status: 'modifying',
    nodeGroups: settled.nodeGroups.map((nodeGroup, index) => ({
      ...nodeGroup,
      resharding: { ...change(index), gains: 0 },
    })),
  } satisfies ReplicationGroup;
}

const swapped = resharding((index) => ({ slots: [splitEvenly(2)[1 - index]!], leaving: false }));
const shrinking = resharding((index) => ({ slots: index === 0 ? splitEvenly(1) : [], leaving: index === 1 }));

const violations = (group: ReplicationGroup, ...steps: Step[]) =>
  checkPlan(steps, group, observe(group)).map(({ invariant }) => invariant);

const move = (member: string, target: string, slots: readonly number[]): Step => ({
  kind: 'move-slots',
  member,
  target,
  sourceClusterNodeId: `id-${member}`,
  targetClusterNodeId: `id-${target}`,
  slots,
  because,
});

test('a sound move passes', () => {
  expect(violations(swapped, move('shop-0001-001', 'shop-0002-001', [0, 1]))).toEqual([]);
});

test('I13 an owner of slots goes, or a shard that was not asked to', () => {
  expect(violations(shrinking, { kind: 'dismiss-shard', nodeGroup: '0002', because })).toEqual(['I13']);
  expect(violations(swapped, { kind: 'forget-shard', nodeGroup: '0002', because })).toEqual(['I13', 'I13']);
  const going = {
    ...shrinking,
    nodeGroups: shrinking.nodeGroups.map((nodeGroup) => ({
      ...nodeGroup,
      members: nodeGroup.members.map((each) => ({
        ...each,
        status: nodeGroup.id === '0002' ? ('deleting' as const) : each.status,
      })),
    })),
  };
  expect(violations(going, { kind: 'remove-node', member: 'shop-0002-001', because })).toEqual(['I13']);
  expect(violations(going, { kind: 'remove-node', member: 'shop-0002-002', because })).toEqual([]);
});

test('I14 slots to a replica, to a shard that goes or is not whole, or not its own', () => {
  expect(violations(swapped, move('shop-0001-001', 'shop-0002-002', [0]))).toEqual(['I14']);
  expect(violations(shrinking, move('shop-0001-001', 'shop-0002-001', [0]))).toEqual(['I14', 'I14']);
  const whole = { ...swapped, nodeGroups: swapped.nodeGroups.map((each) => ({ ...each, formed: false })) };
  expect(violations(whole, move('shop-0001-001', 'shop-0002-001', [0]))).toEqual(['I14']);
  const others = listSlots([splitEvenly(2)[1]!]).slice(0, 1);
  expect(violations(swapped, move('shop-0001-001', 'shop-0002-001', others))).toEqual(['I14']);
});

test('I15 a slot both ways', () => {
  const three = clusterGroup(3);
  const group = {
    ...three,
    nodeGroups: three.nodeGroups.map((each) => ({
      ...each,
      resharding: { slots: splitEvenly(1), gains: 0, leaving: false },
    })),
  };
  const to = (target: string) => move('shop-0001-001', target, [0]);
  expect(violations(group, to('shop-0002-001'), to('shop-0003-001'))).toEqual(['I15']);
});

test('I16 an end with slots elsewhere', () => {
  expect(violations(swapped, { kind: 'end-resharding', because })).toEqual(['I16', 'I16']);
});

test('I17 a source followed or left by a group, a node or at a time that is not to', () => {
  const source = { address: '10.0.0.7', port: 7_000 };
  const migrating = (change: Partial<Migration> = {}) =>
    replicatedGroup(2, { status: 'migrating', migration: { source, inSync: true, ...change } });
  const check = (group: ReplicationGroup, step: Step) =>
    checkPlan([step], group, observe(group, { 'shop-001': replication({ role: 'replica' }) })).map(
      ({ invariant }) => invariant,
    );
  const follow: Step = { kind: 'follow-source', member: 'shop-001', because };
  const leave: Step = { kind: 'leave-source', member: 'shop-001', because };
  expect(check(migrating(), follow)).toEqual([]);
  expect(check(replicatedGroup(2), follow)).toEqual(['I17']);
  expect(check(migrating(), { ...follow, member: 'shop-002' })).toEqual(['I17']);
  expect(check(migrating(), leave)).toEqual(['I17']);
  expect(check(migrating({ completing: 'in-sync' }), leave)).toEqual([]);
});
