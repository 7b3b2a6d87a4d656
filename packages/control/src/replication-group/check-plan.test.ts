import type { NodeObservation } from '@larder/fleet/host';
import { expect, test } from 'vitest';
import { checkPlan } from './check-plan.ts';
import {
  type Change,
  clusterGroup,
  dead,
  hostFenced,
  observe,
  replicatedGroup,
  replication,
  restoredGroup,
  unreachable,
} from './group.test-support.ts';
import type { Step } from './step.ts';

const because = 'a test';

function boundTo(seen: NodeObservation, boundAddresses: readonly string[]): NodeObservation {
  return { ...seen, engine: { ...seen.engine!, boundAddresses } };
}

function violations(steps: readonly Step[], changes: Record<string, Change> = {}, group = replicatedGroup()) {
  return checkPlan(steps, group, observe(group, changes)).map(({ invariant }) => invariant);
}

const decide: Step = {
  kind: 'decide-primary',
  nodeGroup: '0001',
  member: 'shop-002',
  previous: 'shop-001',
  fence: { kind: 'dead', incarnation: { pid: 1, startTicks: 1 }, how: 'reaped' },
  because,
};
const promote: Step = { kind: 'promote', member: 'shop-002', because };

test('a sound failover passes', () => {
  expect(violations([decide, promote], { 'shop-001': dead })).toEqual([]);
});

test('I1 two primaries', () => {
  const other = replication({ role: 'primary' });
  expect(violations([decide, promote], { 'shop-001': dead, 'shop-003': other })).toEqual(['I1']);
  const demote: Step = { kind: 'replicate', member: 'shop-003', primary: 'shop-002', port: 6379, because };
  expect(violations([decide, demote, promote], { 'shop-001': dead, 'shop-003': other })).toEqual([]);
});

test('I1 a promotion that was decided before, beside one that may rule unseen', () => {
  const decided = replicatedGroup(3, { epoch: 2 });
  const group = { ...decided, nodeGroups: [{ ...decided.nodeGroups[0]!, primary: 'shop-002' }] };
  const seen = replication({
    role: 'replica',
    primary: { address: '127.64.0.10', port: 6379, linkUp: false },
  });
  expect(violations([promote], { 'shop-001': unreachable, 'shop-002': seen }, group)).toEqual(['I1']);
  expect(violations([promote], { 'shop-001': hostFenced, 'shop-002': seen }, group)).toEqual([]);
});

test('I2 a promotion that was not decided', () => {
  expect(violations([promote], { 'shop-001': dead })).toEqual(['I2']);
});

test('I3 a decision while the old primary runs', () => {
  expect(violations([decide])).toEqual(['I3']);
});

test('I3 a decision while the old primary may run where nobody can look', () => {
  const leaseExpired: Step = { ...decide, fence: { kind: 'lease-expired', host: 'b' } };
  expect(violations([leaseExpired, promote], { 'shop-001': unreachable })).toEqual(['I3']);
  expect(violations([leaseExpired, promote], { 'shop-001': hostFenced })).toEqual([]);
});

test('I18 a process that answers is killed, or another run than the one that hangs', () => {
  const incarnation = { pid: 100, startTicks: 1 };
  const kill: Step = { kind: 'kill-node', member: 'shop-001', incarnation, because };
  const hangs: Change = ({ nodeId }) => ({
    nodeId,
    process: { kind: 'running', incarnation, hang: { how: 'stopped', silentMs: 600 } },
  });
  expect(violations([kill])).toEqual(['I18']);
  expect(violations([kill], { 'shop-001': hangs })).toEqual([]);
  const another: Step = { ...kill, incarnation: { pid: 100, startTicks: 2 } };
  expect(violations([another], { 'shop-001': hangs })).toEqual(['I18']);
});

test('I19 a replica is let take writes', () => {
  expect(violations([{ kind: 'lift-fence', member: 'shop-002', because }])).toEqual(['I19']);
  expect(violations([{ kind: 'lift-fence', member: 'shop-001', because }])).toEqual([]);
});

test('I3 a vote where nobody votes', () => {
  expect(violations([{ ...decide, fence: { kind: 'engine-vote' } }], { 'shop-001': dead })).toEqual(['I3']);
  const voted: Step = { ...decide, member: 'shop-0001-002', fence: { kind: 'engine-vote' } };
  expect(violations([voted], {}, clusterGroup())).toEqual([]);
});

test('I4 an empty primary beside keys', () => {
  const start: Step = { kind: 'start-node', member: 'shop-001', endpointAddresses: [], because };
  expect(violations([start], { 'shop-001': dead, 'shop-003': dead })).toEqual(['I4']);
});

test('I12 a snapshot loaded by a replica, by a group that serves, or one that nobody asked for', () => {
  const start: Step = {
    kind: 'start-node',
    member: 'shop-001',
    endpointAddresses: [],
    because,
    snapshot: 'kept',
  };
  const none = { 'shop-001': dead, 'shop-002': dead, 'shop-003': dead };
  const made = restoredGroup();
  expect(violations([start], none, made)).toEqual([]);
  expect(violations([{ ...start, snapshot: 'other' }], none, made)).toEqual(['I12']);
  expect(violations([{ ...start, member: 'shop-002', replicaOf: 'shop-001' }], none, made)).toEqual(['I12']);
  expect(violations([start], none, { ...made, status: 'available' })).toEqual(['I12']);
  const formed = { ...made, nodeGroups: made.nodeGroups.map((each) => ({ ...each, formed: true })) };
  expect(violations([start], none, formed)).toEqual(['I12']);
});

test('I5 two changes of primary in one plan', () => {
  expect(violations([decide, { ...decide, member: 'shop-003' }], { 'shop-001': dead })).toEqual(['I5']);
});

test('I6 an address with two holders', () => {
  const listen: Step = {
    kind: 'listen',
    member: 'shop-003',
    addresses: ['127.64.0.12', '127.64.0.1'],
    dropped: [],
    because,
  };
  expect(violations([listen])).toEqual(['I6']);
  // Two that have it already, as after a partition: the plan that does nothing to them is not to blame.
  const both = { 'shop-003': (seen: NodeObservation) => boundTo(seen, listen.addresses) };
  expect(violations([], both)).toEqual([]);
});

test('I7 a stranger', () => {
  expect(
    violations([{ kind: 'replicate', member: 'shop-002', primary: 'other-001', port: 6379, because }]),
  ).toEqual(['I7']);
});

test('I8 removal from a group that lives', () => {
  expect(violations([{ kind: 'remove-node', member: 'shop-002', because }])).toEqual(['I8']);
});
